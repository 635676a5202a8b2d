"""Budgets: hard and exact. What fits, what is refused, and what a refusal says."""

from __future__ import annotations

import threading
from dataclasses import replace
from decimal import Decimal

import pytest
from bson import encode
from bson.decimal128 import Decimal128

from core.accounts.keys import Caller
from core.clock import utcnow
from core.ids import new_id
from core.jobs.claim import hand_back, note_unkept
from core.metering import allowances, budgets, true_up
from core.metering.budget import OverLimit
from core.metering.budget import of_key as of_caller
from tests.core.metering.budgeted import CENT, job_of, of_key, spent
from tests.core.metering.rows import at, call, put, reserve, row


def test_a_key_without_a_budget_has_none(key):
    assert of_key({**key, "budget_usd": None}, utcnow()) is None


def test_periods_of_budgets(key):
    of_month = of_key(key, at("2026-11-24 12:00"))
    of_day = of_key({**key, "budget_period": "day"}, at("2026-11-24 12:00"))
    assert (of_month.period, of_month.resets_at) == ("2026-11", at("2026-12-01 00:00"))
    assert (of_day.period, of_day.resets_at) == ("2026-11-24", at("2026-11-25 00:00"))


def test_what_is_reserved_counts_and_the_402_says_how_much(db, key, budget):
    for _ in range(5):
        job_of(db, key, budget, CENT)
    with pytest.raises(OverLimit) as refused:
        reserve(db, budget, new_id(), CENT)
    said = refused.value.as_dict()
    assert (said["code"], said["limit"], said["used"], said["unit"]) == ("budget_exceeded", 0.05, 0.05, "usd")
    assert said["resets_at"].endswith("-01T00:00:00.000Z")


def test_many_at_once_do_not_overdraw(db, key, budget):
    outcomes = []

    def one():
        try:
            job_of(db, key, budget, CENT)
            outcomes.append("in")
        except OverLimit:
            outcomes.append("out")

    threads = [threading.Thread(target=one) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["in"] * 5 + ["out"] * 35


def test_a_budget_that_is_used_up_takes_nothing_more_not_even_what_seems_free(db, key, budget):
    job_of(db, key, budget, 5 * CENT)
    with pytest.raises(OverLimit):
        reserve(db, budget, new_id(), Decimal(0))


@pytest.mark.parametrize(
    ("used", "refused", "up"),
    [(0, 6, False), (1, 6, False), (2, 4, False), (3, 3, True), (4, 2, True), (5, 1, True)],
)
def test_it_is_used_up_when_a_call_of_usual_size_does_not_fit(db, key, budget, used, refused, up):
    """In cents, of five: one that is larger than all before it together has used up nothing."""
    if used:
        job_of(db, key, budget, used * CENT)
    with pytest.raises(OverLimit):
        reserve(db, budget, new_id(), refused * CENT)
    assert budgets.used_up(db, budget) is up


def test_a_document_that_counts_a_thousand_jobs_is_as_large_as_one_that_counts_ten(db, key):
    rich = of_key({**key, "budget_usd": Decimal128("1000")}, utcnow())
    sizes = []
    for _ in range(3):
        for _ in range(40):
            job_of(db, key, rich, CENT)
        budgets.tick(db)
        sizes.append(len(encode(db.budgets.find_one({}))))
    assert sizes[0] == sizes[1] == sizes[2]


def test_both_periods_are_counted_whichever_the_key_has(db, key, budget):
    put(db, [row(utcnow(), key=key["_id"], tokens=(100_000, 0))])
    daily = of_key({**key, "budget_period": "day"}, utcnow())
    job_of(db, key, daily, CENT)
    for each in (daily, budget):
        stands = budgets.used(db, each)
        assert (stands["spent_usd"], stands["reserved_usd"]) == (0.015, 0.01)


def test_what_an_admins_key_spends_in_other_workspaces_counts(db):
    admin = Caller("k1", "admin", "w1", budget_usd=Decimal128("1"), budget_period="month")
    budget = of_caller(admin, utcnow())
    rows = [row(utcnow(), workspace=name, tokens=(100_000, 0)) for name in ("w1", "w2")]
    put(db, rows)
    reserve(db, budget, new_id(), CENT)
    true_up.tick(db)
    assert spent(db, budget) == Decimal("0.03")


def test_a_blocking_limit_names_itself():
    now = utcnow()
    allowances.check(1000, "economy", 1001, now)
    with pytest.raises(OverLimit) as refused:
        allowances.check(1000, "economy", 1000, now)
    assert refused.value.as_dict()["unit"] == "tokens"


def test_a_refusal_is_forgotten_once_a_call_fits_again(db, key, budget):
    reserve(db, budget, new_id(), 3 * CENT)
    with pytest.raises(OverLimit):
        reserve(db, budget, new_id(), 3 * CENT)
    assert budgets.used_up(db, budget)
    reserve(db, budget, new_id(), CENT)
    assert not budgets.used_up(db, budget)


def test_a_job_that_runs_again_is_no_reason_to_look_twice_for_room(db, key, budget):
    """It waits for the ledger, with calls of a claim that was lost, and holds what it needs all the same."""
    job = job_of(db, key, budget, 5 * CENT)
    hand_back(db, job, [])
    note_unkept(db, job, [call()])
    with pytest.raises(OverLimit):
        reserve(db, budget, new_id(), CENT)


def test_what_is_held_fits_until_the_budget_is_lowered_below_it(db, key, budget):
    job_of(db, key, budget, 5 * CENT)
    budgets.check(db, budget, 5 * CENT)
    with pytest.raises(OverLimit):
        budgets.check(db, replace(budget, usd=4 * CENT), 5 * CENT)
