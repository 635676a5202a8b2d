"""Settling: what a job held becomes what it cost, once, and never a 402 because of a crash."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from bson.decimal128 import Decimal128

from core.clock import utcnow
from core.ids import new_id
from core.jobs.claim import claim, finish, hand_back, note_unkept
from core.metering import budgets, intents, ledger, settling, true_up
from core.metering.budget import OverLimit
from core.metering.intents import Change
from core.metering.sums import exact
from tests.core.metering.budgeted import CENT, done_with_rows, job_of, of_key, reserved, spent
from tests.core.metering.rows import PRICES, at, call, enter, put, reserve
from tests.crashing import Crash, Crashing


def test_entering_the_calls_settles_at_what_they_cost(db, key, budget):
    job = job_of(db, key, budget, 5 * CENT)
    finish(db, job, status="succeeded", calls=[call(tokens=(100_000, 0))], result={})
    enter(db)
    assert (spent(db, budget), reserved(db, budget)) == (Decimal("0.015"), 0)
    db.jobs.update_one({"_id": job["_id"]}, {"$set": {"meter": "due"}})
    enter(db)
    budgets.tick(db)
    true_up.tick(db)
    assert (spent(db, budget), reserved(db, budget)) == (Decimal("0.015"), 0)


def test_two_that_settle_a_job_at_the_same_time_count_it_once(db, key, budget, meanwhile):
    done, entered = done_with_rows(db, key, budget)
    for before in (("update", "budgets"), ("update", "jobs")):
        meanwhile.before(*before, lambda: settling.settle(db, done, entered))
    assert settling.settle(meanwhile.db, done, entered) == set()
    assert budgets.used(db, budget)["spent_usd"] == 0.015
    assert reserved(db, budget) == 0


def test_one_that_was_held_up_does_not_settle_what_was_settled_long_ago(db, key, budget):
    done, entered = done_with_rows(db, key, budget)
    for _ in range(3):
        settling.settle(db, done, entered)
    assert (spent(db, budget), reserved(db, budget)) == (Decimal("0.015"), 0)


def test_a_hold_that_another_process_brings_to_its_end_meanwhile_counts_once(db, key, budget, meanwhile):
    job = job_of(db, key, budget, CENT)
    meanwhile.before("update", "jobs", lambda: budgets.tick(db))
    holds = budgets.hold_at_least(meanwhile.db, budget, job["_id"], 2 * CENT)
    assert holds == db.jobs.find_one({"_id": job["_id"]})["holds"]
    assert reserved(db, budget) == exact(holds[budget.month]["days"][budget.at]) == 2 * CENT


def test_a_hold_whose_process_died_before_its_job_said_so_is_not_placed_twice(db, key, budget):
    job = job_of(db, key, budget, CENT)
    lost = Change(job["_id"], job["holds"][budget.month], {budget.at: 2 * CENT})
    assert intents.place(db, budget.name, [lost])
    budgets.hold_at_least(db, budget, job["_id"], 3 * CENT)
    assert reserved(db, budget) == 3 * CENT
    assert len(db.budgets.find_one({"_id": budget.name})["pending"]) == 0


def test_a_job_that_held_something_in_two_months_settles_each_at_its_own_calls(db, key):
    november, december = (of_key(key, datetime(2026, *day, tzinfo=UTC)) for day in ((11, 30), (12, 1)))
    job = job_of(db, key, november, CENT)
    budgets.hold_at_least(db, december, job["_id"], CENT)
    finish(db, job, status="succeeded", calls=[], result={})
    rows = [
        {"kept": True, "job_id": job["_id"], "date": each.at, "cost": Decimal128(cost)}
        for each, cost in ((november, CENT), (december, 2 * CENT))
    ]
    assert settling.settle(db, [db.jobs.find_one({"_id": job["_id"]})], rows) == set()
    assert [spent(db, each) for each in (november, december)] == [CENT, 2 * CENT]


def test_a_job_holds_no_more_than_it_needs_and_nothing_more_once_it_has_ended(db, key, budget):
    job = job_of(db, key, budget, CENT)
    before = db.budgets.find_one()
    assert budgets.hold_at_least(db, budget, job["_id"], CENT) == job["holds"]
    finish(db, job, status="succeeded", calls=[], result={})
    assert budgets.hold_at_least(db, budget, job["_id"], 2 * CENT) == {}
    assert db.budgets.find_one() == before


def test_a_job_that_was_cancelled_before_any_call_gives_everything_back(db, key, budget):
    job = job_of(db, key, budget, 5 * CENT)
    finish(db, job, status="cancelled", calls=[])
    job_of(db, key, budget, 4 * CENT)
    assert reserved(db, budget) == 4 * CENT


def test_a_reservation_whose_job_never_came_is_released(db, budget):
    reserve(db, budget, new_id(), 5 * CENT)
    with pytest.raises(OverLimit):  # it may still come
        reserve(db, budget, new_id(), CENT)
    reserve(db, budget, new_id(), CENT, utcnow() + timedelta(minutes=2))
    assert reserved(db, budget) == CENT


def test_a_reservation_that_was_released_is_not_released_again(db, key, budget):
    job_of(db, key, budget, CENT)
    change = Change("never", None, {budget.at: CENT})
    budgets.place(db, budget, change, CENT)
    for _ in range(2):
        budgets.release(db, budget, change)
    assert reserved(db, budget) == CENT


def test_calls_that_were_not_kept_are_nobodys_spending_after_a_crash_either(db, key, budget):
    lost = job_of(db, key, budget, 5 * CENT)
    hand_back(db, lost, [])
    note_unkept(db, lost, [call()])
    finish(db, claim(db, lost["_id"], "p2"), status="succeeded", calls=[call(attempt=2)], result={})
    ledger.insert(db, list(ledger.rows_of(db.jobs.find_one({"_id": lost["_id"]}), PRICES)))
    enter(db)
    assert db.token_usage.count_documents({}) == 2
    assert (spent(db, budget), reserved(db, budget)) == (Decimal("0.0000048"), 0)


def test_what_an_ended_job_holds_is_not_free_before_its_calls_are_entered(db, key, budget):
    job = job_of(db, key, budget, 5 * CENT)
    finish(db, job, status="failed", calls=[call(tokens=(100_000, 0))])
    with pytest.raises(OverLimit):
        reserve(db, budget, new_id(), CENT)
    assert reserved(db, budget) == 5 * CENT


def test_a_change_that_is_carried_on_takes_the_place_of_no_later_one(db, key, budget, meanwhile):
    job = job_of(db, key, budget, CENT)
    died = Change(job["_id"], job["holds"][budget.month], {budget.at: 2 * CENT})
    budgets.place(db, budget, died, CENT)
    meanwhile.before("update", "jobs", lambda: budgets.hold_at_least(db, budget, job["_id"], 3 * CENT))
    budgets.tick(meanwhile.db)
    held = db.jobs.find_one({"_id": job["_id"]})["holds"][budget.month]["days"]
    assert exact(held[budget.at]) == reserved(db, budget) == 3 * CENT


def test_a_job_that_is_settled_in_one_of_two_months_keeps_what_it_has_spent_in_that(db, key):
    november, december = (of_key(key, datetime(2026, *day, tzinfo=UTC)) for day in ((11, 30), (12, 1)))
    job = job_of(db, key, november, CENT)
    budgets.hold_at_least(db, december, job["_id"], CENT)
    calls = [
        call(n, (100_000, 0), started_at=at(f"{day} 12:00"))
        for n, day in enumerate(("2026-11-30", "2026-12-01"))
    ]
    finish(db, job, status="succeeded", calls=calls, result={})
    done = db.jobs.find_one({"_id": job["_id"]})
    entered = list(ledger.rows_of(done, PRICES))
    put(db, entered)
    with pytest.raises(Crash):
        settling.settle(Crashing(db, 3), [done], entered)
    true_up.tick(db, at("2026-12-01 13:00"))
    assert spent(db, november) == Decimal("0.015")
    settling.settle(db, [done], entered)
    assert [spent(db, each) for each in (november, december)] == [Decimal("0.015")] * 2


def test_a_job_is_settled_at_what_its_row_says_though_prices_have_changed_since(db, key, budget):
    _, (entered,) = done_with_rows(db, key, budget)
    ledger.insert(db, [{**entered, "cost": Decimal128("0.02")}])
    enter(db)
    assert (spent(db, budget), reserved(db, budget)) == (2 * CENT, 0)
