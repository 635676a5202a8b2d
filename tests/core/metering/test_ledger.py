"""The ledger: a call that used tokens is one row, however often, through whatever crash it is entered."""

from decimal import Decimal

import pytest

from core.clock import utcnow
from core.jobs.claim import claim, finish, hand_back, note_unkept
from core.jobs.model import queued_again
from core.metering import ledger
from tests.core.metering.rows import PRICES, call, enter, finished
from tests.factory import queued


def rows(db):
    return sorted(db.token_usage.find(), key=lambda row: row["_id"])


def test_a_finished_jobs_call_becomes_a_row(db):
    job_id = finished(db, [call()])
    assert enter(db) == {"rows": 1, "jobs": 1}
    (row,) = rows(db)
    assert row["_id"] == f"{job_id}:1:0"
    assert (row["tokens_input"], row["tokens_output"], row["tokens_total"]) == (12, 5, 17)
    assert (row["workspace_id"], row["agent_id"], row["tier"], row["request_type"]) == (
        "w1",
        "a1",
        "byokey",
        "chat",
    )
    assert row["cost"].to_decimal() == Decimal("0.0000048")
    assert row["price"] == {"model": "gpt-4o-mini", "source": "genai-prices", "version": PRICES.version}
    assert "meter" not in db.jobs.find_one({"_id": job_id})


def test_each_kind_of_token_is_in_the_row(db):
    usage = {
        "tokens_input": 100,
        "tokens_output": 20,
        "tokens_total": 120,
        "tokens_cached": 3,
        "tokens_cache_write": 5,
        "tokens_reasoning": 7,
    }
    finished(db, [call(usage=usage)])
    enter(db)
    (row,) = rows(db)
    assert {name: row[name] for name in usage} == usage


def test_what_costs_nothing_has_a_price_and_what_has_none_says_so(db):
    finished(db, [call(key_kind="custom"), call(1, model="unheard of")])
    enter(db)
    free, unknown = rows(db)
    assert (free["cost"].to_decimal(), free["cost_status"], free["unpriced"]) == (0, "free", 0)
    assert (unknown["cost"], unknown["cost_status"], unknown["unpriced"]) == (None, "unknown", 1)


def test_entering_again_changes_nothing(db):
    job_id = finished(db, [call()])
    enter(db)
    before = rows(db)
    db.jobs.update_one({"_id": job_id}, {"$set": {"meter": "due"}})
    assert enter(db) == {"rows": 0, "jobs": 1}
    assert rows(db) == before
    assert enter(db) == {}


def test_a_crash_before_the_mark_is_cleared_is_mended_by_the_next_tick(db):
    finished(db, [call(), call(1)])
    finished(db, [call()])

    def dies(db, jobs):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ledger.enter(db, PRICES, outbox=dies)
    assert enter(db) == {"rows": 0, "jobs": 2}
    assert len(rows(db)) == 3


def test_what_is_added_while_a_job_is_entered_is_not_forgotten(db):
    job_id = finished(db, [call()])
    job = db.jobs.find_one({"_id": job_id})

    def meanwhile(db, jobs):
        note_unkept(db, {**job, "attempt": 7, "owner": "p2"}, [call(attempt=7)])

    ledger.enter(db, PRICES, outbox=meanwhile)
    assert db.jobs.find_one({"_id": job_id})["meter"] == "due"
    enter(db)
    assert [row["kept"] for row in rows(db)] == [True, False]


def test_a_lost_claims_calls_are_entered_as_not_kept_while_the_job_still_runs(db):
    job = claim(db, queued(db)["_id"], "p1")
    note_unkept(db, job, [call()])
    enter(db)
    (row,) = rows(db)
    assert (row["kept"], row["attempt"]) == (False, 1)


def test_a_loser_that_writes_after_the_job_was_entered_is_entered_too(db):
    job_id = queued(db)["_id"]
    slow = claim(db, job_id, "p1")
    lost = {"attempt": 1, "owner": "p1", "lost_at": utcnow()}
    db.jobs.update_one({"_id": job_id}, {"$set": queued_again(utcnow()), "$push": {"lost": lost}})
    finish(db, claim(db, job_id, "p2"), status="succeeded", calls=[call(attempt=2)], result={})
    enter(db)
    assert not finish(db, slow, status="succeeded", calls=[call()], result={})
    for _ in range(2):  # its reply was lost, so it is written again
        note_unkept(db, slow, [call()])
        enter(db)
    assert [(row["attempt"], row["kept"]) for row in rows(db)] == [(1, False), (2, True)]
    kept = db.jobs.find_one({"_id": job_id})
    assert "meter" not in kept
    assert kept["status"] == "succeeded"


def test_a_handed_back_claims_calls_wait_for_the_end_and_count_once(db):
    job_id = queued(db)["_id"]
    hand_back(db, claim(db, job_id, "p1"), [call(tokens=(3, 4))])
    enter(db)
    assert rows(db) == []
    finish(db, claim(db, job_id, "p2"), status="succeeded", calls=[call(attempt=2)], result={})
    enter(db)
    assert [(row["attempt"], row["tokens_total"]) for row in rows(db)] == [(1, 7), (2, 17)]


def test_a_call_that_does_not_say_its_claim_is_of_the_jobs_last(db):
    unsaid = {name: value for name, value in call().items() if name != "attempt"}
    job_id = finished(db, [unsaid])
    enter(db)
    assert [row["_id"] for row in rows(db)] == [f"{job_id}:1:0"]


def test_calls_without_tokens_are_no_rows(db):
    finished(db, [call(usage=None, outcome="provider_busy"), call(1, tokens=(0, 0)), call(2)])
    enter(db)
    assert [row["n"] for row in rows(db)] == [2]


def test_failed_calls_that_used_tokens_are_rows_and_say_so(db):
    finished(db, [call(outcome="stream_broken", usage_status="estimated")], status="failed")
    enter(db)
    (row,) = rows(db)
    assert (row["outcome"], row["usage_status"], row["cost_status"]) == (
        "stream_broken",
        "estimated",
        "estimated",
    )


def test_the_callback_is_in_the_outbox_before_the_mark_is_cleared(db):
    job_id = finished(db, [], callback_url="https://example.com/hook")
    enter(db)
    assert db.deliveries.find_one({"job_id": job_id})["state"] == "due"
    assert "meter" not in db.jobs.find_one({"_id": job_id})


def test_a_job_that_cannot_be_entered_does_not_hold_up_the_others(db):
    broken = finished(db, [call(started_at=None)])
    finished(db, [call()])
    assert enter(db)["rows"] == 1
    assert db.jobs.find_one({"_id": broken})["meter"] == "due"
    assert enter(db) == {}


def test_it_takes_at_most_so_many_jobs_at_once(db):
    for _ in range(5):
        finished(db, [call()])
    assert [enter(db, limit=2).get("jobs", 0) for _ in range(4)] == [2, 2, 1, 0]


def test_every_mark_is_cleared_of_more_jobs_than_are_written_together(db):
    for _ in range(2 * ledger.CLEARED + 1):
        finished(db, [call()])
    assert enter(db)["jobs"] == 2 * ledger.CLEARED + 1
    assert enter(db) == {}


def test_a_backlog_of_one_workspace_keeps_no_other_waiting(db):
    for _ in range(6):
        finished(db, [call()])
    theirs = finished(db, [call()], workspace_id="w2")
    enter(db, limit=2)
    assert sorted(row["workspace_id"] for row in rows(db)) == ["w1", "w2"]
    assert "meter" not in db.jobs.find_one({"_id": theirs})
