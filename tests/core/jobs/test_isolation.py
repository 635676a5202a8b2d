"""Jobs that lost workers: who waits alone, who is in quarantine, and how a person decides."""

from __future__ import annotations

import pytest

from core.errors import Conflict
from core.jobs import isolation
from core.jobs.claim import claim, finish
from tests.factory import mark, queued

ERROR = {"code": "quarantined", "detail": "3 workers were lost"}


@pytest.fixture
def ended(db):
    """A job that failed: `ended("quarantined")`."""

    def make(code, **changes):
        job = claim(db, queued(db, **changes)["_id"], "p1")
        return finish(db, job, status="failed", calls=[], error={**ERROR, "code": code})

    return make


def ids(jobs):
    return [job["_id"] for job in jobs]


def alone(db, **changes):
    job = queued(db, **changes)
    db.jobs.update_one({"_id": job["_id"]}, {"$set": {"queue": "isolation"}})
    return job["_id"]


def test_jobs_in_isolation_are_those_that_are_still_to_be_done(db):
    first, second = alone(db), alone(db)
    queued(db)
    alone(db, workspace_id="other")
    db.jobs.update_one({"_id": alone(db)}, {"$set": {"status": "failed"}})
    assert ids(isolation.isolated(db, "w1")) == [first, second]


def test_quarantine_has_the_workspaces_jobs_that_lost_too_many_workers_the_latest_first(db, ended):
    first, second = ended("quarantined"), ended("quarantined")
    ended("rate_limited")
    ended("quarantined", workspace_id="other")
    assert ids(isolation.quarantined(db, "w1")) == [second["_id"], first["_id"]]


def test_a_discarded_job_leaves_quarantine_and_cannot_run_again(db, redis_client, ended):
    job = ended("quarantined")
    isolation.discard(db, redis_client, job)
    assert isolation.quarantined(db, "w1") == []
    assert db.jobs.find_one({"_id": job["_id"]})["request"] is None


def test_only_what_is_in_quarantine_is_discarded(db, redis_client, ended):
    for job in (ended("rate_limited"), queued(db)):
        with pytest.raises(Conflict, match="quarantined"):
            isolation.discard(db, redis_client, job)
    assert db.jobs.count_documents({"request": None}) == 0


def test_it_is_known_which_job_runs_a_quarantined_one_again(db, ended):
    job, other = ended("quarantined"), ended("quarantined")
    again = queued(db, idempotency=mark(job["_id"], route="retry"))
    queued(db, idempotency=mark(other["_id"], route="chat/a1"))
    queued(db, workspace_id="other", idempotency=mark(other["_id"], route="retry"))
    found = isolation.requeued(db, "w1", [job["_id"], other["_id"]])
    assert {known: job["_id"] for known, job in found.items()} == {job["_id"]: again["_id"]}
