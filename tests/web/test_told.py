"""What is told without being asked each time is as the specification says: webhooks, and a job's events."""

from __future__ import annotations

import json

import pytest

from core.accounts import workspaces
from core.agents import agents
from core.callbacks import Courier, outbox
from core.clock import utcnow
from core.errors import JobFailed
from core.jobs import claim
from core.jobs.events import Emitter
from core.metering import allowances
from core.runtime import alerts, records
from core.runtime.states import READY, STARTING
from tests import agreeing
from tests.core.metering.rows import managed, put
from tests.core.runtime.test_alerts import spend
from tests.factory import CALL, queued
from tests.web.conftest import ANSWER

URL = "https://example.com/hook"


@pytest.fixture
def posted(app, services):
    """Delivers all that is due; the bodies, by the name of their webhook, each as the specification says."""

    def deliver():
        bodies = []
        courier = Courier(
            services.db, services.sealer, lambda url, headers, body: bodies.append((headers, body)) or 200
        )
        for delivery in services.db.deliveries.find({"state": "due"}):
            courier.deliver(delivery)
        courier.close()
        return [checked(app, headers, json.loads(body)) for headers, body in bodies]

    return deliver


def checked(app, headers, body):
    """The type of what was posted."""
    hooks = agreeing.document(app)["webhooks"]
    name = next(name for name in hooks if body["type"] in types_of(app, name))
    call = hooks[name]["post"]
    assert {parameter["name"] for parameter in call["parameters"]} <= set(headers)
    errors = agreeing.validator(
        call["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    ).iter_errors(body)
    assert not list(map(agreeing.told, errors)), body["type"]
    return body["type"]


def types_of(app, name):
    """The types that a webhook names."""
    document = agreeing.document(app)
    reference = document["webhooks"][name]["post"]["requestBody"]["content"]["application/json"]["schema"][
        "$ref"
    ]
    said = agreeing.resolved({"$ref": reference})["properties"]["type"]
    return said.get("enum") or [said.get("const")]


def test_a_jobs_end_is_posted_as_the_specification_says(services, posted):
    ends = {"succeeded": {"result": ANSWER}, "failed": {"error": JobFailed("no", code="internal").as_dict()}}
    for status, how in {**ends, "cancelled": {}}.items():
        job = queued(services.db, workspace_id="default", callback_url=URL)
        done = claim.claim(services.db, job["_id"], "p1")
        assert claim.finish(services.db, done, status=status, calls=[{**CALL, "n": 0}], **how)
        outbox(services.db, [services.db.jobs.find_one({"_id": job["_id"]})])
    assert sorted(posted()) == ["job.cancelled", "job.failed", "job.succeeded"]


def test_alerts_are_posted_as_the_specification_says(services, posted):
    db = services.db
    workspaces.change(db, workspaces.make(db, "w1", "w1"), {"alert_url": URL})
    agent = agents.born("w1", "a1", {"name": "a", "runtime_budget_usd": 10.0, "runtime_budget_period": "day"})
    db.agents.insert_one(agent)
    put(db, [managed(utcnow(), (1000, 0))])
    allowances.tick(db, {"economy": 1000})
    spend(db, agent, 9)
    record = records.move(db, records.get_or_born(db, "w1", "a1"), STARTING)
    records.move(db, record, READY, host="h1")
    alerts.tick(db)
    assert set(posted()) == {"allowance.threshold", "agent.budget", "agent.starting", "agent.ready"}


def test_a_jobs_events_are_as_the_specification_says(member, services):
    job = queued(services.db, workspace_id="default")
    claimed = claim.claim(services.db, job["_id"], "p1")
    first, second = (Emitter(services.redis, job["_id"], attempt) for attempt in (1, 2))
    first.emit("delta", {"type": "content", "content": "Hel"})
    second.emit("progress", {"done": 1, "total": 2, "unit": "bytes"})
    second.n += 1  # one is lost
    second.emit("delta", {"type": "tool_call", "tool_call": {"index": 0, "id": "c1"}})
    second.emit("progress", {"status": "starting", "host": "h1", "detail": None})
    assert claim.finish(services.db, claimed, status="succeeded", calls=[], result=ANSWER)
    stream = member.get(f"/jobs/{job['_id']}/events").text
    told = [
        dict(line.split(": ", 1) for line in event.splitlines()) for event in stream.strip().split("\n\n")
    ]
    for event in told:
        body = {**event, "data": json.loads(event["data"])}
        errors = agreeing.validator("#/components/schemas/JobEvent").iter_errors(body)
        assert not list(map(agreeing.told, errors)), event
    assert [event["event"] for event in told] == [
        "delta",
        "restart",
        "progress",
        "gap",
        "delta",
        "progress",
        "done",
    ]
