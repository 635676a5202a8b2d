"""GET /metrics: names that Prometheus likes, labels that stay few, and the queues as they are."""

from __future__ import annotations

import re
from functools import partial

import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.callbacks import outbox
from core.history import counters
from core.jobs.claim import claim
from core.llm.breaker import FAILURES, Breaker
from core.llm.failures import ProviderBusy
from core.metering import ledger
from core.services import connect_mongo, connect_redis
from tests.core.llm.test_breaker import FIRST, SECOND
from tests.core.metering.rows import PRICES, call, finished
from tests.factory import queued
from web.app import create_app

NAME = re.compile(r"(vutler|process)_[a-z_]+")
LABELS = {"method", "route", "status", "le", "queue", "provider", "what"}
LABELS |= {"kind", "code", "outcome", "to", "model", "token"}


def families(client):
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain")
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def sample(found, name, **labels):
    return [s.value for f in found.values() for s in f.samples if (s.name, s.labels) == (name, labels)]


def test_names_and_labels_are_sane(admin, nobody, agent):
    admin.get("/agents")
    found = families(nobody)
    assert all(NAME.fullmatch(name) for name in found)
    assert all(family.documentation for family in found.values())
    assert {label for f in found.values() for s in f.samples for label in s.labels} <= LABELS


def test_requests_are_counted_by_route_and_never_by_path(admin, nobody, agent):
    before = sum(len(f.samples) for f in families(nobody).values())
    for n in range(30):
        admin.get(f"/agents/no-such-{n}")
        admin.get(f"/no-such-route-{n}")
    admin("BREW", "/agents")
    found = families(nobody)
    route = "/api/v1/agents/<agent_id>"
    assert sample(found, "vutler_http_requests_total", method="GET", route=route, status="404") == [30]
    assert sample(found, "vutler_http_requests_total", method="GET", route="none", status="404") == [30]
    assert sum(len(f.samples) for f in found.values()) < before + 100
    text = nobody.get("/metrics").text
    assert "no-such" not in text
    assert "BREW" not in text
    assert agent not in text


def test_the_queues_are_as_the_store_has_them(services, nobody, agent):
    for _ in range(3):
        queued(services.db, workspace_id="default", agent_id=agent)
    claim(services.db, queued(services.db, workspace_id="default", agent_id=agent)["_id"], "p1")
    found = families(nobody)
    assert sample(found, "vutler_store_up") == [1]
    assert sample(found, "vutler_queue_jobs", queue="chat", status="queued") == [3]
    assert sample(found, "vutler_queue_jobs", queue="chat", status="running") == [1]
    assert sample(found, "vutler_queue_paused", queue="chat") == [0]


def test_jobs_and_calls_are_counted_when_the_ledger_is_entered(services, nobody):
    """A custom endpoint and a model that no price table has are labels of their own, whatever their names."""
    failed = call(0, (0, 0), provider="openai", model="gpt-4o", outcome="provider_busy", usage=None)
    answered = call(1, (1000, 50), model="gpt-4o-mini", latency_ms=1200, first_token_ms=90)
    finished(services.db, [failed, answered])
    finished(services.db, [call(model="mine-7b", key_kind="custom")], status="failed")
    ledger.enter(services.db, PRICES, outbox=outbox, note=partial(_count, services.redis))
    found = families(nobody)

    def value(name, **labels):
        return sample(found, f"vutler_{name}", **labels)

    assert value("jobs_ended_total", kind="chat", status="succeeded", code="") == [1]
    assert value("jobs_ended_total", kind="chat", status="failed", code="") == [1]
    assert value("provider_calls_total", provider="openai", outcome="ok") == [1]
    assert value("provider_calls_total", provider="openai", outcome="provider_busy") == [1]
    assert value("provider_calls_total", provider="custom", outcome="ok") == [1]
    assert value("provider_fallbacks_total", provider="openai", to="openai") == [1]
    assert value("provider_tokens_total", provider="openai", model="gpt-4o-mini", token="input") == [1000]
    assert value("provider_tokens_total", provider="custom", model="other", token="input") == [12]
    assert value("provider_cost_usd_total", provider="openai", model="gpt-4o-mini") == [0.00018]
    took = {le: value("provider_latency_seconds_bucket", provider="openai", le=le) for le in ("1.0", "2.5")}
    assert took == {"1.0": [0], "2.5": [1]}
    assert value("provider_latency_seconds_sum", provider="openai") == [1.2]
    assert value("provider_first_token_seconds_bucket", provider="openai", le="0.1") == [1]
    assert value("provider_first_token_seconds_count", provider="openai") == [1]
    assert "mine-7b" not in nobody.get("/metrics").text


def test_breakers_that_are_open_are_shown_until_they_close(services, nobody):
    breaker = Breaker(services.redis)
    for target in (FIRST, SECOND):
        for _ in range(FAILURES):
            breaker.failed(target, ProviderBusy(http_status=503))
    assert sample(families(nobody), "vutler_breakers_open", provider="openai") == [1]
    breaker.succeeded(FIRST)
    for key in services.redis.keys("vutler:breaker:minimax:*:open"):
        services.redis.delete(key)  # as if its time were over
    found = families(nobody)
    assert sample(found, "vutler_breakers_open", provider="openai") == [0]
    assert sample(found, "vutler_breakers_open", provider="minimax") == [0]


def _count(client, db, jobs, rows):
    counters.count(client, jobs, rows)


@pytest.fixture
def without_mongodb(services, watcher, app, settings):
    gone = settings.model_copy(update={"mongodb_uri": "mongodb://127.0.0.1:1"})
    services.mongo = connect_mongo(gone, patience_s=0.2)
    yield create_app(services, watcher)
    services.mongo.close()


def test_without_its_store_it_still_answers_and_says_so(without_mongodb):
    answer = without_mongodb.test_client().get("/metrics")
    assert answer.status_code == 200
    assert "vutler_store_up 0.0" in answer.text
    assert "vutler_queue_jobs{" not in answer.text


def test_without_redis_it_still_answers_and_says_so(services, watcher, app, settings, nobody):
    assert sample(families(nobody), "vutler_redis_up") == [1]
    gone = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1"})
    services.redis = connect_redis(gone, timeout_s=0.2)
    answer = create_app(services, watcher).test_client().get("/metrics")
    services.redis.close()
    assert answer.status_code == 200
    assert "vutler_redis_up 0.0" in answer.text
    assert "vutler_jobs_ended" not in answer.text
