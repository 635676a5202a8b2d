"""Limits at the door: requests and tokens a minute per key, wrong keys per address, trusted proxies."""

from __future__ import annotations

import time

import pytest

from core.accounts import limits
from core.accounts.keys import Caller
from core.errors import RateLimited
from core.services import connect_redis
from tests.web.conftest import ADMIN
from tests.web_client import Client
from web.app import create_app
from web.limiting import FailedLogins

LIMITED = Caller("k1", "member", "w1", rpm=2, tpm=100)
NOON = 1_800_000_000.0  # a whole minute


def test_a_window_is_a_minute_and_the_next_one_begins_anew(redis_client):
    stood = [limits.take_request(redis_client, LIMITED, NOON + s) for s in (0, 30, 59, 60)]
    assert [(s.remaining, s.reset_s) for s in stood] == [(1, 60), (0, 30), (-1, 1), (1, 60)]


def test_a_key_without_limits_is_not_counted(redis_client):
    free = Caller("k2", "member", "w1")
    assert limits.take_request(redis_client, free, NOON) is None
    assert limits.reserve_tokens(redis_client, free, 10**9, NOON) is None
    assert redis_client.dbsize() == 0


def test_a_chat_that_does_not_fit_takes_nothing_from_those_that_do(redis_client):
    asked = [limits.reserve_tokens(redis_client, LIMITED, n, NOON).remaining for n in (60, 60, 40, 1)]
    assert asked == [40, -20, 0, -1]


def test_a_key_over_its_rate_is_told_when_to_come_back(client_for):
    limited = client_for("member", rpm=2)
    answers = [limited.get("/agents") for _ in range(6)]  # a new minute may begin in their midst, once
    first, refused = answers[0], next(a for a in answers if a.status_code == 429)
    assert first.status_code == 200
    assert first.headers["RateLimit-Policy"] == '"requests";q=2;w=60'
    assert first.headers["RateLimit"].startswith('"requests";r=1;t=')
    assert refused.content_type == "application/problem+json"
    assert refused.json["code"] == "rate_limited"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit"].startswith('"requests";r=0;t=')


def test_a_key_over_its_tokens_makes_no_job(client_for, agent, services):
    limited = client_for("member", tpm=50)
    refused = limited.post(f"/agents/{agent}/chat", {"message": "a", "max_tokens": 1000})
    assert refused.status_code == 429
    assert '"tokens";q=50;w=60' in refused.headers["RateLimit-Policy"]
    assert services.db.jobs.count_documents({}) == 0
    assert limited.post(f"/agents/{agent}/chat", {"message": "a", "max_tokens": 10}).status_code == 202


def test_what_a_chat_says_counts_too(client_for, agent):
    limited = client_for("member", tpm=500)
    refused = limited.post(f"/agents/{agent}/chat", {"message": "a" * 4000, "max_tokens": 10})
    assert refused.status_code == 429


def test_limits_of_one_key_are_not_anothers(client_for):
    one, other = client_for("member", rpm=1), client_for("member", rpm=1)
    assert 429 in [one.get("/agents").status_code for _ in range(4)]
    assert other.get("/agents").status_code == 200


def test_while_redis_is_away_nobody_is_limited(services, watcher, app, client_for, settings):
    limited = client_for("member", rpm=1, tpm=1)
    gone = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    services.redis = connect_redis(gone, timeout_s=0.3)
    assert [limited.get("/agents").status_code for _ in range(4)] == [200] * 4
    assert "RateLimit" not in limited.get("/agents").headers
    services.redis.close()


@pytest.fixture
def guarded(services, watcher, app):
    """An app that takes three wrong keys a minute from an address, behind one proxy that is trusted."""

    def make(**changes):
        services.settings = services.settings.model_copy(update={"failed_logins_per_minute": 3, **changes})
        return create_app(services, watcher)

    return make


def guess(app, times=1, key="vtl_wrong", **headers):
    client = Client(app, key, **headers)
    return [client.get("/agents").status_code for _ in range(times)]


def test_wrong_keys_from_one_address_are_slowed_down_and_right_ones_are_not(guarded):
    app = guarded()
    assert guess(app, 5) == [401, 401, 401, 429, 429]
    assert guess(app, 5, key=ADMIN) == [200] * 5
    assert guess(app) == [429]
    refused = Client(app, "vtl_wrong").get("/agents")
    assert 1 <= int(refused.headers["Retry-After"]) <= 61


def test_right_keys_are_not_counted(guarded):
    app = guarded()
    assert guess(app, 6, key=ADMIN) == [200] * 6


def test_behind_a_trusted_proxy_addresses_are_told_apart(guarded):
    app = guarded(trusted_proxies=1)
    assert guess(app, 4, **{"X-Forwarded-For": "198.51.100.1"})[-1] == 429
    assert guess(app, **{"X-Forwarded-For": "198.51.100.2"}) == [401]
    assert guess(app, **{"X-Forwarded-For": "203.0.113.9, 198.51.100.1"}) == [429]  # the proxy's word counts


def test_without_one_the_header_is_nothing(guarded):
    app = guarded()
    tried = [guess(app, **{"X-Forwarded-For": f"198.51.100.{n}"})[0] for n in range(4)]
    assert tried == [401, 401, 401, 429]


def test_failures_are_forgotten_after_a_minute_and_ipv6_counts_by_network():
    clock = [0.0]
    failed = FailedLogins(1, now=lambda: clock[0])
    failed.note("2001:db8::1")
    with pytest.raises(RateLimited, match="too many wrong keys"):
        failed.note("2001:db8::ffff")
    failed.note("2001:db8:0:1::1")
    clock[0] = 61
    failed.note("2001:db8::1")


def test_the_memory_of_addresses_is_bounded():
    failed = FailedLogins(1, now=lambda: 0.0)
    for n in range(12_000):
        failed.note(f"10.0.{n // 250}.{n % 250}")
    assert len(failed._seen) <= 10_000


def test_who_guesses_when_the_memory_of_addresses_is_full_is_stopped_all_the_same():
    failed = FailedLogins(2, now=lambda: 0.0)
    for n in range(10_000):
        failed.note(f"10.0.{n // 250}.{n % 250}")
    for _ in range(2):
        failed.note("203.0.113.1")
    with pytest.raises(RateLimited):
        failed.note("203.0.113.1")


def test_what_a_chat_used_that_was_asked_in_an_earlier_minute_changes_nothing_in_this_one(redis_client):
    plan = {"reserved": limits.reservation(90, time.time() - 61)}
    limits.settle(redis_client, {"plan": plan, "created_by": "k1"}, 0)
    assert limits.look(redis_client, LIMITED)[1].remaining == 100


def test_a_minute_that_is_over_takes_no_room_in_redis(redis_client):
    limits.take_request(redis_client, LIMITED)
    limits.reserve_tokens(redis_client, LIMITED, 10)
    assert [0 < redis_client.ttl(name) <= 120 for name in redis_client.scan_iter()] == [True, True]
