"""Reservations that arrive at the same time: one write, and still no more than there is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from pymongo.errors import OperationFailure

from core.clock import utcnow
from core.ids import new_id
from core.metering import budget, budgets
from core.metering.budget import OverLimit
from core.metering.reserving import Reserving

CENT = Decimal("0.01")


def of(key, usd, per="day"):
    return budget.at(key, Decimal(usd), per, utcnow(), "w1")


def all_at_once(db, asked):
    """Whether each was reserved."""
    reserving = Reserving(db)

    def one(budget):
        try:
            return reserving.reserve(budget, new_id(), CENT, utcnow())
        except OverLimit:
            return None

    with ThreadPoolExecutor(len(asked)) as pool:
        return list(pool.map(one, asked))


def pending(db, budget, but=None):
    """The intents that stand in its document, without that of one hold."""
    return db.budgets.find_one({"_id": budget.name})["pending"].keys() - ({but["nonce"]} if but else set())


def test_they_are_all_held(db):
    wide = of("k1", 100)
    holds = all_at_once(db, [wide] * 24)
    assert len({hold["nonce"] for hold in holds}) == 24
    stands = budgets.used(db, wide)
    assert (stands["reserved_usd"], stands["spent_usd"]) == (0.24, 0)


def test_the_next_write_forgets_the_intents_of_jobs_that_are_stored_and_no_others(db):
    reserving, ours, others = Reserving(db), of("k1", 100), of("k2", 100)
    first, not_stored, other = (
        reserving.reserve(budget, new_id(), CENT, utcnow()) for budget in (ours, ours, others)
    )
    reserving.committed(others, other)
    reserving.committed(ours, first)
    last = reserving.reserve(ours, new_id(), CENT, utcnow())
    assert pending(db, ours) == {not_stored["nonce"], last["nonce"]}
    assert pending(db, others) == {other["nonce"]}
    assert pending(db, others, reserving.reserve(others, new_id(), CENT, utcnow())) == set()
    assert budgets.used(db, ours)["reserved_usd"] == 0.03


def test_of_those_that_do_not_fit_together_as_many_as_fit_are_held(db):
    narrow = of("k1", "0.05")
    assert sum(hold is not None for hold in all_at_once(db, [narrow] * 24)) == 5
    assert budgets.used(db, narrow)["reserved_usd"] == 0.05


def test_one_key_that_is_over_its_limit_holds_up_no_other(db):
    asked = [of("k1", "0.02"), of("k2", 1, "month")] * 12
    holds = all_at_once(db, asked)
    assert sum(hold is not None for hold in holds[0::2]) == 2
    assert all(holds[1::2])


def test_what_the_store_says_of_one_is_not_said_to_another(db, mongo):
    broken = of("k.1", 1)  # its document is there, and cannot be counted in
    db.budgets.insert_one({"_id": broken.name, "used": "text", "days": "text"})
    reserving = Reserving(db)
    with pytest.raises(OperationFailure, match="non-numeric"):
        reserving.reserve(broken, "j1", CENT, utcnow())
    assert reserving.reserve(of("k2", 1), "j2", CENT, utcnow())["days"]
