"""Reservations that travel with the inserts of their jobs: all or nothing, and no more than there is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from pymongo.errors import AutoReconnect, ConnectionFailure, DuplicateKeyError, OperationFailure

from core.clock import utcnow
from core.ids import new_id
from core.jobs.model import born
from core.metering import budget, budgets
from core.metering.budget import OverLimit
from core.metering.intents import Change
from core.metering.reserving import Reservation, Reserving
from core.store.batches import One
from core.store.repeat import insert_once
from tests.factory import draft

CENT = Decimal("0.01")


def of(key, usd, per="day"):
    return budget.at(key, Decimal(usd), per, utcnow(), "w1")


def asked(budget, usd=CENT):
    return Reservation(budget, Change(new_id(), None, {budget.at: usd}), usd, utcnow())


def job_of(reservation):
    change = reservation.change
    holds = {reservation.budget.month: change.hold}
    return born(draft(created_by=reservation.budget.key_id, holds=holds), change.job_id, utcnow())


def store(reserving, budget):
    """The job, which holds a cent."""
    reservation = asked(budget)
    job = job_of(reservation)
    insert_once(reserving.db.jobs, job, reserving.insert_of(reservation))
    return job


def all_at_once(db, budgets):
    """Whether each was stored."""
    reserving = Reserving(db)

    def one(budget):
        try:
            return bool(store(reserving, budget))
        except OverLimit:
            return False

    with ThreadPoolExecutor(len(budgets)) as pool:
        return list(pool.map(one, budgets))


def pending(db, budget):
    """The jobs of the intents that stand in its document."""
    return {intent["job"] for intent in db.budgets.find_one({"_id": budget.name})["pending"].values()}


def stands(db, budget):
    """What is reserved, and how many jobs there are."""
    return budgets.used(db, budget)["reserved_usd"], db.jobs.count_documents({})


def test_they_are_all_held_and_stored(db):
    wide = of("k1", 100)
    assert all(all_at_once(db, [wide] * 24))
    assert stands(db, wide) == (0.24, 24)


def test_the_next_write_forgets_the_intents_of_jobs_that_are_stored_and_no_others(db):
    reserving, ours, others = Reserving(db), of("k1", 100), of("k2", 100)
    not_stored = asked(ours)
    budgets.place(db, ours, not_stored.change, CENT)
    store(reserving, ours)
    other = store(reserving, others)
    last = store(reserving, ours)
    assert pending(db, ours) == {not_stored.change.job_id, last["_id"]}
    assert pending(db, others) == {other["_id"]}
    latest = store(reserving, others)
    assert pending(db, others) == {latest["_id"]}
    assert stands(db, ours) == (0.03, 4)


def test_of_those_that_do_not_fit_together_as_many_as_fit_are_held_and_no_other_is_stored(db):
    narrow = of("k1", "0.05")
    assert sum(all_at_once(db, [narrow] * 24)) == 5
    assert stands(db, narrow) == (0.05, 5)
    budgets.tick(db)
    assert pending(db, narrow) == set()


def test_one_key_that_is_over_its_limit_holds_up_no_other(db):
    ends = all_at_once(db, [of("k1", "0.02"), of("k2", 1, "month")] * 12)
    assert sum(ends[0::2]) == 2
    assert all(ends[1::2])


def test_what_does_not_fit_is_refused_and_what_is_released_fits_again(db):
    reserving, narrow = Reserving(db), of("k1", CENT)
    first, second = asked(narrow), asked(narrow)
    budgets.place(db, narrow, first.change, CENT)
    for _ in range(2):
        with pytest.raises(OverLimit):
            reserving.insert_of(second)(job_of(second))
        assert (second.held, db.jobs.count_documents({})) == (False, 0)
    budgets.release(db, narrow, first.change)
    reserving.insert_of(second)(job_of(second))
    assert stands(db, narrow) == (0.01, 1)


def test_what_the_store_says_of_one_is_not_said_to_another(db, mongo):
    broken = of("k.1", 1)  # its document is there, and cannot be counted in
    db.budgets.insert_one({"_id": broken.name, "used": "text", "days": "text"})
    reserving, fine = Reserving(db), asked(of("k2", 1))
    failing = asked(broken)
    budgets.used(db, fine.budget)  # makes it
    batch = [one_of(failing), one_of(fine)]
    reserving.carry(batch)
    assert isinstance(batch[0].error, OperationFailure)
    assert (batch[1].error, fine.held, db.jobs.count_documents({})) == (None, True, 1)
    with pytest.raises(OperationFailure, match="non-numeric"):
        reserving.insert_of(failing)(job_of(failing))


def one_of(reservation):
    """One of a batch."""
    return One(job_of(reservation), reservation)


def test_of_a_batch_the_intent_of_a_job_that_was_not_stored_stays(db):
    reserving, wide = Reserving(db), of("k1", 1)
    budgets.used(db, wide)
    taken = asked(wide)
    db.jobs.insert_one({**job_of(taken), "holds": {}})
    batch = [one_of(taken), one_of(asked(wide))]
    reserving.carry(batch)
    assert [type(one.error) for one in batch] == [DuplicateKeyError, type(None)]
    last = store(reserving, wide)
    assert pending(db, wide) == {taken.change.job_id, last["_id"]}


def test_an_insert_whose_reply_is_lost_is_repeated_and_holds_once(db):
    reserving, wide = Losing(db, "jobs"), of("k1", 1)
    store(reserving, wide)
    assert stands(db, wide) == (0.01, 1)


def test_a_job_whose_id_is_taken_holds_until_somebody_gives_it_back_and_once_when_it_is_tried_again(db):
    reserving, wide = Reserving(db), of("k1", 1)
    budgets.used(db, wide)
    reservation = asked(wide)
    db.jobs.insert_one({**job_of(reservation), "holds": {}})
    for _ in range(2):
        with pytest.raises(DuplicateKeyError):
            reserving.insert_of(reservation)(job_of(reservation))
    assert stands(db, wide) == (0.01, 1)
    store(reserving, wide)
    budgets.release(db, wide, reservation.change)
    assert stands(db, wide) == (0.01, 2)


@pytest.mark.parametrize("write", [0, 3], ids=["in a batch", "alone, in the first of its month"])
def test_a_reservation_whose_reply_is_lost_is_not_repeated_and_stores_nothing(db, write):
    wide = of("k1", 1)
    if write == 0:
        budgets.used(db, wide)  # makes it
    reserving = Losing(db, "budgets", write)
    with pytest.raises(ConnectionFailure):
        store(reserving, wide)
    assert stands(db, wide) == (0.01, 0)


class Losing(Reserving):
    """Of one of the next writes to a collection the reply is lost."""

    def __init__(self, db, name, after=0):
        super().__init__(db)
        self.name = name
        self.left = after
        self.db = self
        self.real = db
        self.collection = self.jobs

    def __getattr__(self, name):
        return _Lost(self, self.real[name], name == self.name)


class _Lost:
    def __init__(self, losing, collection, loses):
        self.losing, self.collection, self.loses = losing, collection, loses

    def __getattr__(self, name):
        found = getattr(self.collection, name)
        if name == "with_options":
            return lambda **options: _Lost(self.losing, found(**options), self.loses)
        if not self.loses or name not in ("insert_one", "update_one"):
            return found
        self.losing.left -= 1
        if self.losing.left != -1:
            return found

        def lost(*args, **options):
            found(*args, **options)
            raise AutoReconnect("the reply was lost")

        return lost
