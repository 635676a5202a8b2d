"""The true-up: what a budget counts is the ledger's and the jobs' word in the end."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from bson.decimal128 import Decimal128

from core.clock import utcnow
from core.ids import new_id
from core.jobs.claim import finish, hand_back
from core.metering import budgets, ledger, rollups, settling, true_up
from core.metering.intents import Change
from core.metering.sums import exact
from tests.core.metering.budgeted import CENT, done_with_rows, job_of, reserved, spent
from tests.core.metering.rows import PRICES, at, call, enter, put, reserve, row


def test_what_is_reserved_while_the_jobs_are_read_counts_once(db, key, budget, meanwhile):
    job_of(db, key, budget, CENT)
    budgets.tick(db)
    meanwhile.before("find", "jobs", lambda: job_of(db, key, budget, CENT))
    true_up.tick(meanwhile.db)
    assert reserved(db, budget) == 2 * CENT


def test_a_budget_that_is_set_later_knows_what_was_spent_before(db, key, budget):
    put(
        db,
        [
            row(utcnow(), key=key["_id"], tokens=(100_000, 0)),
            row(utcnow(), key="another", tokens=(100_000, 0)),
        ],
    )
    reserve(db, budget, new_id(), CENT)
    assert spent(db, budget) == Decimal("0.015")


def test_what_was_spent_is_the_ledgers_word_in_the_end(db, key, budget):
    first = row(at(f"{budget.period}-01 00:30"), key=key["_id"], tokens=(100_000, 0))
    put(db, [first])
    reserve(db, budget, new_id(), CENT)
    wrong = {"spent": Decimal128("9"), f"days.{budget.at}.spent": Decimal128("8")}
    db.budgets.update_one({}, {"$set": wrong})
    rollups.tick(db, utcnow() + timedelta(days=40))
    true_up.tick(db)
    assert spent(db, budget) == Decimal("0.015")
    of_today = Decimal("0.015") if budget.at.endswith("-01") else 0
    assert exact(db.budgets.find_one({})["days"][budget.at]["spent"]) == of_today


def test_what_is_held_is_the_jobs_word_in_the_end(db, key, budget):
    queued, running = job_of(db, key, budget, CENT), job_of(db, key, budget, CENT)
    hand_back(db, queued, [])
    budgets.tick(db)
    wrong = {"used": Decimal128("9"), f"days.{budget.at}.used": Decimal128("9")}
    db.budgets.update_one({}, {"$set": wrong})
    true_up.tick(db)
    assert reserved(db, budget) == 2 * CENT
    finish(db, running, status="failed", calls=[])
    db.budgets.update_one({}, {"$set": wrong})
    true_up.tick(db)
    assert reserved(db, budget) == 2 * CENT  # it is done, and not settled
    enter(db)
    assert reserved(db, budget) == CENT


def test_what_is_held_is_left_alone_while_a_job_is_on_its_way(db, key, budget):
    reserve(db, budget, new_id(), CENT)
    put(db, [row(utcnow(), key=key["_id"], tokens=(100_000, 0))])
    true_up.tick(db)
    assert (spent(db, budget), reserved(db, budget)) == (Decimal("0.015"), CENT)


def test_a_call_that_is_in_the_ledger_and_still_reserved_is_not_spent_twice(db, key, budget):
    """A true-up between the two steps of entering a job's calls."""
    done, entered = done_with_rows(db, key, budget)
    put(db, entered)
    true_up.tick(db)
    assert (spent(db, budget), reserved(db, budget)) == (0, 5 * CENT)
    settling.settle(db, done, entered)
    true_up.tick(db)  # the mark of the job is still there
    assert (spent(db, budget), reserved(db, budget)) == (Decimal("0.015"), 0)


def test_a_job_that_ends_while_the_ledger_is_summed_up_is_not_spent_twice(db, key, budget, meanwhile):
    job = job_of(db, key, budget, 5 * CENT)

    def end():
        finish(db, job, status="succeeded", calls=[call(tokens=(100_000, 0))], result={})
        put(db, list(ledger.rows_of(db.jobs.find_one({"_id": job["_id"]}), PRICES)))

    meanwhile.before("aggregate", "token_usage", end)
    db.usage_days.insert_one(
        {"_id": "w1:today", "workspace_id": "w1", "date": budget.at, "month": budget.month, "open": True}
    )
    true_up.tick(meanwhile.db)
    assert (spent(db, budget), reserved(db, budget)) == (0, 5 * CENT)
    enter(db)
    assert (spent(db, budget), reserved(db, budget)) == (Decimal("0.015"), 0)


@pytest.mark.parametrize("before", [("aggregate", "token_usage"), ("update", "budgets")])
def test_a_job_that_is_settled_while_the_ledger_is_summed_up_counts_once(db, key, budget, meanwhile, before):
    job = job_of(db, key, budget, 5 * CENT)
    put(db, [row(utcnow(), key=key["_id"], tokens=(10_000, 0))])
    budgets.tick(db)

    def end():
        finish(db, job, status="succeeded", calls=[call(tokens=(100_000, 0))], result={})
        enter(db)

    meanwhile.before(*before, end)
    true_up.tick(meanwhile.db)
    true_up.tick(db)
    assert (spent(db, budget), reserved(db, budget)) == (Decimal("0.0165"), 0)


def test_a_period_that_is_over_is_left_alone(db, key, budget):
    budgets.used(db, budget)
    true_up.tick(db, budget.resets_at)
    assert db.budgets.find_one({})["open"] is False


def test_one_in_which_a_job_still_holds_something_is_not(db, key, budget):
    job_of(db, key, budget, CENT)
    true_up.tick(db, budget.resets_at)
    assert db.budgets.find_one({})["open"] is True


def test_a_job_that_is_settled_after_its_budget_was_read_is_not_spent_twice(db, key, budget, meanwhile):
    job = job_of(db, key, budget, 5 * CENT)
    budgets.tick(db)

    def end():
        finish(db, job, status="succeeded", calls=[call(tokens=(100_000, 0))], result={})
        enter(db)

    meanwhile.before("find", "jobs", end)
    true_up.tick(meanwhile.db)
    assert (spent(db, budget), reserved(db, budget)) == (Decimal("0.015"), 0)


def test_a_budget_that_somebody_is_just_settling_is_left_alone(db, key, budget, meanwhile):
    (done,), entered = done_with_rows(db, key, budget)
    put(db, entered)
    cost = {budget.at: exact(entered[0]["cost"])}

    def begin():
        budgets.intents.place(db, budget.name, [Change(done["_id"], done["holds"][budget.month], {}, cost)])

    for act in (lambda: None, begin):
        meanwhile.before("find", "budgets", act)
    true_up.tick(meanwhile.db)
    budgets.tick(db)
    assert (spent(db, budget), reserved(db, budget)) == (Decimal("0.015"), 0)


def test_two_that_true_up_at_the_same_time_correct_a_budget_once(db, key, budget, meanwhile):
    budgets.used(db, budget)
    put(db, [row(utcnow(), key=key["_id"], tokens=(100_000, 0))])
    meanwhile.before("update", "budgets", lambda: true_up.tick(db))
    true_up.tick(meanwhile.db)
    assert spent(db, budget) == Decimal("0.015")
