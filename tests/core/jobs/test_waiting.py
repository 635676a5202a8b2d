"""Why a job waits."""

from __future__ import annotations

import pytest

from core.clock import utcnow
from core.jobs import waiting
from tests.factory import queued


@pytest.fixture
def job(db):
    return queued(db)


def process(db, slots=2, **changes):
    db.processes.insert_one(
        {"_id": "p1", "dead": False, "queues": ["chat"], "slots": slots, "started_at": utcnow(), **changes}
    )


def test_a_job_waits_for_a_worker_process_that_takes_from_its_queue(db, job):
    process(db, dead=True)
    assert waiting.why(db, job) == "no_worker"


def test_a_job_waits_while_its_queue_is_paused(db, job):
    process(db)
    db.queues.insert_one({"_id": "chat", "paused": True})
    assert waiting.why(db, job) == "paused"


@pytest.mark.parametrize(("running", "why"), [(1, "next"), (2, "busy")])
def test_a_job_waits_while_all_slots_of_its_queue_are_used(db, job, running, why):
    process(db)
    for _ in range(running):
        db.jobs.update_one({"_id": queued(db)["_id"]}, {"$set": {"status": "running", "owner": "p1"}})
    assert waiting.why(db, job) == why


def test_what_other_queues_have_is_nothing_to_a_job(db, job):
    process(db, queues=["drive"])
    assert waiting.why(db, job) == "no_worker"
    db.processes.update_one({"_id": "p1"}, {"$set": {"queues": ["chat"]}})
    for _ in range(2):
        db.jobs.update_one({"_id": queued(db)["_id"]}, {"$set": {"status": "running", "queue": "drive"}})
    assert waiting.why(db, job) == "next"


@pytest.mark.parametrize(("most", "why"), [(1, "bounded"), (2, "next")])
def test_a_job_waits_while_its_agent_has_as_many_running_as_it_may(db, job, most, why):
    process(db)
    db.agents.insert_one({"_id": job["agent_id"], "workspace_id": job["workspace_id"], "max_running": most})
    db.jobs.update_one({"_id": queued(db)["_id"]}, {"$set": {"status": "running", "owner": "p1"}})
    assert waiting.why(db, job) == why


def test_a_job_that_has_lost_workers_waits_to_be_alone(db, job):
    process(db, queues=["isolation"])
    assert waiting.why(db, {**job, "queue": "isolation"}) == "isolated"


def test_a_job_that_runs_does_not_wait(db, job):
    assert waiting.why(db, {**job, "status": "running"}) is None
