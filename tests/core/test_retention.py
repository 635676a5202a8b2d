"""Retention: content and jobs go when their time has come, and nothing unmetered ever."""

from datetime import timedelta

import pytest

from core.ids import utcnow
from core.jobs.claim import claim, finish
from core.jobs.events import Emitter, stream_key
from core.retention import Purge
from tests.factory import CALL, queued


@pytest.fixture
def purge(db, settings, redis_client):
    db.workspaces.insert_one({"_id": "w1"})
    return Purge(db, redis_client, settings)


def ended(db, days_ago, rule=None, metered=True, **changes):
    plan = {"targets": [], "agent": {"system_prompt": "be kind"}, "content_retention": rule}
    job = claim(db, queued(db, plan=plan, **changes)["_id"], "p1")
    finish(
        db, job, status="succeeded", calls=[CALL], result={"message": {"content": "hi"}, "usage": {"n": 1}}
    )
    at = utcnow() - timedelta(days=days_ago)
    update = {"$set": {"created_at": at, "finished_at": at}}
    if metered:
        update["$unset"] = {"meter": ""}
    db.jobs.update_one({"_id": job["_id"]}, update)
    return lambda: db.jobs.find_one({"_id": job["_id"]})


def test_the_events_go_with_the_content(db, purge, redis_client):
    old, new = ended(db, 8), ended(db, 6)
    for job in (old(), new()):
        Emitter(redis_client, job["_id"], 1).emit("delta", {"type": "content", "content": "hi"})
    purge.tick()
    assert not redis_client.exists(stream_key(old()["_id"]))
    assert redis_client.exists(stream_key(new()["_id"]))


@pytest.mark.parametrize(
    ("rule", "days_ago", "erased"),
    [
        (None, 8, True),
        (None, 6, False),
        ("30", 8, False),
        ("none", 0.001, True),
        ("done", 0.1, True),
        ("done", 0.01, False),
    ],
)
def test_content_goes_by_its_agents_rule_and_the_accounting_stays(db, purge, rule, days_ago, erased):
    job = ended(db, days_ago, rule)
    purge.tick()
    assert (job()["request"] is None) == erased
    assert (job()["result"]["message"] is None) == erased
    assert job()["calls"] == [CALL]
    assert job()["result"]["usage"] == {"n": 1}
    assert ("be kind" in str(job())) != erased


def test_content_stays_while_a_callback_needs_it(db, purge):
    job = ended(db, 8)
    db.deliveries.insert_one({"_id": f"{job()['_id']}-succeeded", "state": "due", "created_at": utcnow()})
    purge.tick()
    assert job()["request"] is not None


def test_jobs_go_after_their_time_but_never_before_they_were_metered(db, purge):
    old, unmetered, young = ended(db, 41), ended(db, 41, metered=False), ended(db, 39)
    purge.tick()
    assert old() is None
    assert unmetered() is not None
    assert young() is not None


def test_jobs_that_are_not_done_stay_however_old(db, purge):
    job = queued(db)
    db.jobs.update_one({"_id": job["_id"]}, {"$set": {"created_at": utcnow() - timedelta(days=100)}})
    purge.tick()
    assert db.jobs.find_one({"_id": job["_id"]})["request"] is not None


def test_processes_that_ended_long_ago_are_forgotten(db, purge):
    db.processes.insert_many(
        [
            {"_id": "old", "dead": True, "renewed_at": utcnow() - timedelta(days=2)},
            {"_id": "alive", "dead": False, "renewed_at": utcnow() - timedelta(days=2)},
        ]
    )
    purge.tick()
    assert [p["_id"] for p in db.processes.find()] == ["alive"]
