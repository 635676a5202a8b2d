"""The audit: two numbers that must be equal, and by name whatever keeps them from it."""

from datetime import timedelta

import pytest

from core.clock import utcnow
from core.jobs import lease
from core.jobs.claim import claim, hand_back, note_unkept
from core.jobs.places import place
from core.metering.audit import audit
from core.metering.periods import period
from tests.core.metering.rows import call, enter, finished, put, row
from tests.factory import queued


@pytest.fixture
def ask(db):
    def ask(name="month", retained_days=40):
        now = utcnow()
        return audit(db, "w1", period(now, name=name), retained_since=now - timedelta(days=retained_days))

    return ask


def test_calls_and_rows_are_equal(db, ask):
    for _ in range(3):
        finished(db, [call(), call(1, usage=None, outcome="provider_busy")])
    assert ask()["pending"] == 3
    enter(db)
    found = ask()
    assert (found["calls"], found["rows"], found["equal"], found["pending"]) == (3, 3, True, 0)
    assert found["tokens"] == 3 * 17


def test_a_job_in_a_row_waits_until_the_ledger_was_there(db, ask):
    process = lease.register(db, role="chat", host="h", queues=[], slots=1, version="test", in_line=True)
    job_id = finished(db, [call()])
    db.jobs.update_one({"_id": job_id}, {"$set": {"meter": place(process, 1)}})
    assert (ask()["pending"], ask()["missing"]) == (1, [])
    db.processes.update_one({"_id": process}, {"$set": {"entered": 1}})
    assert (ask()["pending"], ask()["missing"]) == (0, [f"{job_id}:1:0"])


def test_a_missing_row_is_named(db, ask):
    job_id = finished(db, [call(), call(1)])
    enter(db)
    db.token_usage.delete_one({"_id": f"{job_id}:1:1"})
    found = ask()
    assert (found["calls"], found["rows"], found["equal"]) == (2, 1, False)
    assert found["missing"] == [f"{job_id}:1:1"]


def test_a_row_without_a_call_is_named(db, ask):
    job_id = finished(db, [call()])
    enter(db)
    odd = db.token_usage.find_one({"_id": f"{job_id}:1:0"})
    db.token_usage.insert_one({**odd, "_id": f"{job_id}:1:5"})
    assert ask()["unexpected"] == [f"{job_id}:1:5"]


def test_a_row_with_other_tokens_is_named(db, ask):
    job_id = finished(db, [call()])
    enter(db)
    db.token_usage.update_one({"_id": f"{job_id}:1:0"}, {"$set": {"tokens_total": 18}})
    assert ask()["differing"] == [f"{job_id}:1:0"]


def test_calls_that_were_not_kept_are_audited_too(db, ask):
    job = claim(db, queued(db)["_id"], "p1")
    note_unkept(db, job, [call()])
    enter(db)
    found = ask()
    assert (found["calls"], found["rows"], found["rows_not_kept"], found["equal"]) == (1, 1, 1, True)


def test_what_may_have_been_charged_is_listed(db, ask):
    cut_off = finished(db, [call(usage=None, outcome="cancelled", possibly_charged=True)], status="cancelled")
    lost = finished(db, [call(attempt=2)])
    died = {"attempt": 1, "owner": "p9", "lost_at": utcnow()}
    db.jobs.update_one({"_id": lost}, {"$push": {"lost": died}})
    told = finished(db, [])
    db.jobs.update_one({"_id": told}, {"$push": {"lost": died}})
    note_unkept(db, {"_id": told, "attempt": 1, "owner": "p9"}, [call()])
    enter(db)
    found = ask()
    assert {one["id"] for one in found["possibly_charged_calls"]} == {f"{cut_off}:1:0", f"{lost}:1"}
    assert found["equal"]


def test_a_job_that_waited_for_weeks_is_found_by_its_row(db, ask):
    job_id = finished(db, [call()])
    db.jobs.update_one({"_id": job_id}, {"$set": {"created_at": utcnow() - timedelta(days=20)}})
    enter(db)
    assert ask("day")["equal"]
    assert ask("day")["rows"] == 1


def test_rows_of_deleted_jobs_are_counted_apart(db, ask):
    put(db, [row(utcnow())])
    found = ask()
    assert (found["rows"], found["rows_of_deleted_jobs"], found["equal"]) == (0, 1, True)


def test_it_says_from_when_it_can_speak(ask):
    found = ask(retained_days=0)
    assert found["from"] == found["speaks_from"]


def test_a_job_that_could_not_be_entered_is_missing(db, ask):
    job_id = finished(db, [call(), call(1, usage={"tokens_total": 5})])
    enter(db)
    found = ask()
    assert found["missing"] == [f"{job_id}:1:0", f"{job_id}:1:1"]


def test_what_a_job_used_that_still_runs_is_not_missing(db, ask):
    job = claim(db, queued(db)["_id"], "p1")
    assert hand_back(db, job, [call()])
    found = ask()
    assert (found["missing"], found["pending"], found["equal"]) == ([], 1, True)
