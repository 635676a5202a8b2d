"""The circuit breaker: who fails is asked last, whoever noticed; a probe closes it; Redis is not needed."""

from __future__ import annotations

import socket

import pytest

from core.config import Settings
from core.llm import router
from core.llm.breaker import FAILURES, FORGOTTEN_AFTER_S, FRESH_S, IN_A_ROW_WITHIN_S, REST_S, Breaker
from core.llm.failures import (
    ContextOverflow,
    KeyRefused,
    ProviderBusy,
    ProviderError,
    ProviderRateLimited,
    ProviderRefused,
    ReadTimeout,
    Unreachable,
)
from core.llm.transport import provider_transport
from core.llm.types import ChatRequest, Target
from core.services import connect_redis
from tests.providers.scripted import provider
from tests.providers.vendors import failing, good

FIRST = Target("openai", "m", "openai", "https://one.example.com/v1", "k1", "byokey")
SECOND = Target("minimax", "m", "openai", "https://two.example.com/v1", "k2", "byokey")
BOTH = [FIRST, SECOND]
TURNED = [SECOND, FIRST]


class Clock:
    def __init__(self):
        self.at = 1000.0

    def __call__(self):
        return self.at


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(redis_client, clock):
    return Breaker(redis_client, now=clock)


def fail(breaker, target=FIRST, error=None, times=FAILURES):
    for _ in range(times):
        breaker.failed(target, error or ProviderBusy(http_status=503))


def let_the_probe_pass(client):
    """As if the time between two probes had gone by."""
    for key in client.scan_iter("vutler:breaker:*:probe"):
        client.delete(key)


def test_failures_in_a_row_move_a_provider_to_the_end(breaker):
    assert breaker.order(BOTH) == BOTH
    fail(breaker, times=FAILURES - 1)
    assert breaker.order(BOTH) == BOTH
    fail(breaker, times=1)
    assert breaker.order(BOTH) == TURNED


@pytest.mark.parametrize(
    "error", [Unreachable(), ReadTimeout(), ProviderBusy(http_status=529), ProviderBusy(http_status=500)]
)
def test_what_speaks_against_its_health_counts(breaker, error):
    fail(breaker, error=error)
    assert breaker.order(BOTH) == TURNED


@pytest.mark.parametrize(
    "error",
    [
        ProviderRateLimited(http_status=429),
        KeyRefused(http_status=401),
        ContextOverflow(http_status=400),
        ProviderRefused(http_status=404),
        ProviderBusy(http_status=408),
    ],
)
def test_what_one_users_key_or_request_caused_does_not(breaker, error):
    fail(breaker, error=error, times=FAILURES * 3)
    assert breaker.order(BOTH) == BOTH


def test_a_success_in_between_starts_the_count_again(breaker):
    fail(breaker, times=FAILURES - 1)
    breaker.succeeded(FIRST)
    fail(breaker, times=FAILURES - 1)
    assert breaker.order(BOTH) == BOTH


def test_another_process_sees_it_within_a_second(breaker, redis_client, clock):
    other = Breaker(redis_client, now=clock)
    assert other.order(BOTH) == BOTH
    fail(breaker)
    clock.at += FRESH_S
    assert other.order(BOTH) == TURNED
    let_the_probe_pass(redis_client)
    assert other.order(BOTH) == BOTH
    other.succeeded(FIRST)
    clock.at += FRESH_S
    assert breaker.order(BOTH) == BOTH


def test_one_call_at_a_time_probes_in_its_turn(breaker, redis_client):
    fail(breaker)
    let_the_probe_pass(redis_client)
    assert [breaker.order(BOTH) for _ in range(3)] == [BOTH, TURNED, TURNED]


def test_a_probe_that_fails_leaves_it_open(breaker, redis_client):
    fail(breaker)
    let_the_probe_pass(redis_client)
    assert breaker.order(BOTH) == BOTH
    fail(breaker, times=1)
    assert breaker.order(BOTH) == TURNED


def test_a_probe_that_succeeds_closes_it(breaker, redis_client, clock):
    fail(breaker)
    let_the_probe_pass(redis_client)
    breaker.succeeded(FIRST)
    clock.at += FRESH_S
    assert [breaker.order(BOTH) for _ in range(3)] == [BOTH, BOTH, BOTH]
    assert list(redis_client.scan_iter("vutler:breaker:*")) == []


def test_when_all_are_open_all_are_asked_as_ever(breaker):
    fail(breaker, FIRST)
    fail(breaker, SECOND)
    assert breaker.order(BOTH) == BOTH


def test_when_all_are_open_a_probe_of_the_second_does_not_put_it_first(breaker, redis_client):
    fail(breaker, SECOND)
    let_the_probe_pass(redis_client)
    fail(breaker, FIRST)
    assert breaker.order(BOTH) == BOTH


def test_another_endpoint_of_the_same_provider_is_another_matter(breaker):
    elsewhere = Target("openai", "m", "openai", "https://mine.example.com/v1", "k3", "custom")
    fail(breaker, elsewhere)
    assert breaker.order([FIRST, elsewhere]) == [FIRST, elsewhere]
    assert breaker.order([elsewhere, FIRST]) == [FIRST, elsewhere]


def test_a_closed_breaker_asks_redis_once_a_second(breaker, redis_client, clock):
    breaker.order(BOTH)
    before = redis_client.info("commandstats").get("cmdstat_mget", {"calls": 0})["calls"]
    for _ in range(1000):
        breaker.order(BOTH)
        breaker.succeeded(FIRST)
    stats = redis_client.info("commandstats")
    assert stats["cmdstat_mget"]["calls"] == before
    clock.at += FRESH_S
    breaker.order(BOTH)
    assert redis_client.info("commandstats")["cmdstat_mget"]["calls"] == before + 1


def test_without_redis_there_is_no_breaker(clock):
    gone = connect_redis(Settings(redis_url="redis://127.0.0.1:1"))
    breaker = Breaker(gone, now=clock)
    fail(breaker, times=FAILURES * 2)
    assert breaker.order(BOTH) == BOTH
    gone.close()


def test_a_redis_that_hangs_is_waited_for_once(clock):
    with socket.create_server(("127.0.0.1", 0), backlog=500) as hanging:
        url = f"redis://127.0.0.1:{hanging.getsockname()[1]}"
        client = connect_redis(Settings(redis_url=url), timeout_s=0.1)
        breaker = Breaker(client, now=clock)
        for _ in range(500):
            assert breaker.order(BOTH) == BOTH
            fail(breaker, times=1)
            breaker.succeeded(FIRST)
        client.close()
        hanging.setblocking(False)
        hanging.accept()[0].close()
        with pytest.raises(BlockingIOError):
            hanging.accept()


def test_it_is_back_when_redis_is(redis_client, clock):
    away = connect_redis(Settings(redis_url="redis://127.0.0.1:1"))
    breaker = Breaker(away, now=clock)
    breaker.order(BOTH)
    breaker.client = redis_client
    fail(breaker)
    assert breaker.order(BOTH) == BOTH
    clock.at += REST_S
    fail(breaker)
    assert breaker.order(BOTH) == TURNED
    away.close()


def test_the_router_goes_round_a_provider_that_fails_and_comes_back(redis_client, clock):
    breaker, transport = Breaker(redis_client, now=clock), provider_transport(Settings())
    with provider(failing("openai", 503, "down")) as one, provider(good("anthropic", False)) as two:
        targets = [
            Target("openai", "m1", "openai", one.url, "k1", "byokey"),
            Target("anthropic", "m2", "anthropic", two.url, "k2", "byokey"),
        ]

        def chat():
            calls = []
            request = ChatRequest([{"role": "user", "content": "Hello"}])
            router.run(
                request, targets, transport=transport, calls=calls, breaker=breaker, sleep=lambda _: None
            )
            return [(call["provider"], call["outcome"]) for call in calls]

        busy, answered = ("openai", "provider_busy"), ("anthropic", "ok")
        assert chat() == [busy, busy, busy, answered]
        assert chat() == [busy, busy, busy, answered]
        assert chat() == [answered]
        one.says(good("openai", False))
        assert chat() == [answered]
        let_the_probe_pass(redis_client)
        assert chat() == [("openai", "ok")]
        assert chat() == [("openai", "ok")]
    transport.close()


def test_the_user_sees_the_error_of_the_provider_they_chose_though_another_was_asked_first(
    redis_client, clock
):
    breaker, transport = Breaker(redis_client, now=clock), provider_transport(Settings())
    with (
        provider(failing("openai", 503, "over capacity")) as one,
        provider(failing("anthropic", 401, "invalid x-api-key")) as two,
    ):
        chosen = Target("openai", "m1", "openai", one.url, "k1", "byokey")
        fail(breaker, chosen)
        request = ChatRequest([{"role": "user", "content": "Hello"}])
        calls = []
        with pytest.raises(ProviderError) as failed:
            router.run(
                request,
                [chosen, Target("anthropic", "m2", "anthropic", two.url, "k2", "byokey")],
                transport=transport,
                calls=calls,
                breaker=breaker,
                sleep=lambda _: None,
            )
    assert calls[0]["provider"] == "anthropic"
    assert failed.value.detail == "over capacity (asked after it: anthropic: invalid x-api-key)"
    transport.close()


def test_what_speaks_against_an_endpoint_is_forgotten_in_time(breaker, redis_client):
    fail(breaker)
    left = {key.rpartition(b":")[2]: redis_client.ttl(key) for key in redis_client.scan_iter("*breaker:*")}
    assert sorted(left) == [b"failures", b"open", b"probe"]
    assert 0 < left[b"failures"] <= IN_A_ROW_WITHIN_S
    assert 0 < left[b"open"] <= FORGOTTEN_AFTER_S


def test_what_was_known_before_redis_went_away_moves_nobody(breaker, redis_client, clock):
    fail(breaker)
    assert breaker.order(BOTH) == TURNED
    breaker.client = connect_redis(Settings(redis_url="redis://127.0.0.1:1"))
    clock.at += FRESH_S
    assert breaker.order(BOTH) == BOTH
    breaker.client.close()
