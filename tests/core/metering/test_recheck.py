"""Recheck: what a job holds before each of its calls."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from bson.decimal128 import Decimal128

from core.accounts.keys import Caller
from core.errors import Invalid
from core.ids import new_id
from core.jobs.claim import claim
from core.jobs.model import born
from core.metering import prices, recheck
from core.metering.budget import OverLimit, of_key
from core.metering.sums import exact
from tests.core.metering.rows import PRICES, at, call, put, reserve, row
from tests.factory import draft

CENT = Decimal("0.01")
EVENING = at("2026-11-29 23:00")
NEXT_DAY = EVENING + timedelta(hours=2)
MOST = {"tokens_input": 0, "tokens_output": 1000}


@pytest.fixture
def job(db):
    """It may cost a cent, which it holds on the day on which it was accepted, of five a day."""
    cost(db, cents=1)
    budget = of_key(Caller("k1", "member", "w1", budget_usd=Decimal128("0.05"), budget_period="day"), EVENING)
    job_id = new_id()
    hold = reserve(db, budget, job_id, CENT, EVENING)
    plan = {"targets": [], "budget": {"usd": "0.05", "per": "day", "all": False, "most": MOST}}
    db.jobs.insert_one(born(draft(plan=plan, holds={budget.month: hold}), job_id, EVENING))
    return claim(db, job_id, "p1")


def cost(db, cents):
    """A thousand tokens cost so much from now on."""
    rates = {"input": Decimal(0), "output": Decimal(10 * cents)}
    prices.set_for_workspace(db, "w1", "openai", "gpt-4o-mini", rates, "2026-11-29")


def asks(db, job, when, earlier=()):
    """USD by date that it holds as its next call begins."""
    made = call(len(earlier), started_at=when)
    recheck.before_call(db, PRICES, job, made, earlier, keyed=True, unknown_window=1)
    held = db.jobs.find_one({"_id": job["_id"]})["holds"]["2026-11"]["days"]
    assert job["holds"]["2026-11"]["days"] == held
    return {date: exact(usd) for date, usd in held.items()}


def test_the_first_call_is_what_was_held_for(db, job):
    assert asks(db, job, EVENING) == {"2026-11-29": CENT}


def test_one_more_call_of_the_same_day_holds_what_both_cost(db, job):
    earlier = [call(0, (0, 1000), started_at=EVENING)]
    assert asks(db, job, EVENING, earlier) == {"2026-11-29": 2 * CENT}


def test_a_call_on_another_day_is_held_there_beside_what_was_called_before(db, job):
    earlier = [call(0, (0, 1000), started_at=EVENING)]
    assert asks(db, job, NEXT_DAY, earlier) == {"2026-11-29": CENT, "2026-11-30": CENT}


def test_where_no_call_was_made_on_the_day_before_nothing_stays_held_there(db, job):
    assert asks(db, job, NEXT_DAY) == {"2026-11-30": CENT}


def test_a_price_that_was_raised_is_asked_for_or_the_call_is_refused(db, job):
    cost(db, cents=5)
    assert asks(db, job, EVENING) == {"2026-11-29": 5 * CENT}
    cost(db, cents=6)
    with pytest.raises(OverLimit):
        asks(db, job, EVENING)


def test_in_a_new_month_an_admins_budget_knows_what_other_workspaces_have_cost(db, job):
    december = at("2026-12-01 10:00")
    put(db, [row(december, workspace="w2", key="k1", tokens=(0, 100_000))])
    job["plan"]["budget"]["all"] = True
    with pytest.raises(OverLimit):
        asks(db, job, december)


def test_a_call_to_an_endpoint_of_ones_own_needs_no_price_where_no_key_goes_with_it(db, job):
    made = call(started_at=EVENING, key_kind="custom", model="my own")
    recheck.before_call(db, PRICES, job, made, (), keyed=False, unknown_window=1)
    with pytest.raises(Invalid):
        recheck.before_call(db, PRICES, job, made, (), keyed=True, unknown_window=1)
