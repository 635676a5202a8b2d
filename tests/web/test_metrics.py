"""GET /metrics: names that Prometheus likes, labels that stay few, and the queues as they are."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.jobs.claim import claim
from core.services import connect_mongo
from tests.factory import queued
from web.app import create_app

NAME = re.compile(r"(vutler|process)_[a-z_]+")
LABELS = {"method", "route", "status", "le", "queue", "provider", "what"}


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
