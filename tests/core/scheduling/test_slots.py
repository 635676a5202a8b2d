"""Slots: each time of a tick has its effect once; none is missed, whoever dies when."""

import random
from datetime import timedelta

import pytest
from pymongo.errors import DuplicateKeyError

from core.scheduling import slots
from core.scheduling.slots import Slots
from tests.core.metering.rows import at

MINUTE = timedelta(minutes=1)
START = at("2026-11-24 12:00")


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def scheduler(db, clock):
    """A scheduler's slots; its effect is an insert under the slot's time."""

    def make(effect=None, on=db):
        def put(slot):
            try:
                db.effects.insert_one({"_id": slot})
            except DuplicateKeyError:
                return {}
            return {"put": 1}

        return Slots(on, "roll", MINUTE, effect or put, now=clock)

    return make


def effects(db):
    return sorted(e["_id"] for e in db.effects.find())


def minutes(*numbers):
    return [START + MINUTE * n for n in numbers]


def test_a_slot_happens_once(db, scheduler, clock):
    ticking = scheduler()
    assert ticking.run() == {"put": 1}
    clock.now += timedelta(seconds=30)
    assert ticking.run() is None
    clock.now += timedelta(seconds=30)
    ticking.run()
    assert effects(db) == minutes(0, 1)
    assert db.ticks.find_one({"_id": "roll"})["done_through"] == START + MINUTE


def test_missed_slots_are_caught_up_by_whoever_comes(db, scheduler, clock):
    scheduler().run()
    clock.now += 5 * MINUTE
    scheduler().run()
    assert effects(db) == minutes(0, 1, 2, 3, 4, 5)


def test_a_long_absence_is_caught_up_in_parts(db, scheduler, clock):
    ticking = scheduler()
    ticking.run()
    clock.now += 100 * MINUTE
    ticking.run()
    assert len(effects(db)) == 1 + slots.CAUGHT_UP_AT_ONCE
    ticking.run()
    assert len(effects(db)) == 101


def test_a_slot_that_a_dead_leader_left_is_done_by_the_next(db, scheduler, clock):
    def dies(slot):
        raise Killed

    with pytest.raises(Killed):
        scheduler(dies).run()
    scheduler().run()
    assert effects(db) == minutes(0)


def test_a_slot_that_another_takes_over_just_now_is_theirs_until_they_die(db, scheduler, meanwhile):
    """Two leaders, for a moment."""

    def dies(slot):
        raise Killed

    def take_over():
        with pytest.raises(Killed):
            scheduler(dies).run()

    with pytest.raises(Killed):
        scheduler(dies).run()
    meanwhile.before("update", "ticks", take_over)
    scheduler(on=meanwhile.db).run()
    assert effects(db) == []
    scheduler().run()
    assert effects(db) == minutes(0)


def test_a_leader_that_is_slow_leaves_the_slot_to_who_took_it_over(db, scheduler, clock):
    carried_out = []

    def slow(slot):
        carried_out.append(("slow", slot))
        scheduler(quick).run()
        clock.now += MINUTE
        with pytest.raises(Killed):
            scheduler(dies).run()
        return {}

    def quick(slot):
        carried_out.append(("quick", slot))
        return {}

    def dies(slot):
        raise Killed

    scheduler(slow).run()
    assert carried_out == [("slow", START), ("quick", START)]
    assert db.ticks.find_one({}) == {"_id": "roll", "done_through": START, "tries": 1}
    scheduler(quick).run()
    assert carried_out[2:] == [("quick", START + MINUTE)]


def test_a_slow_leader_does_not_finish_what_another_has_begun(db, scheduler):
    def slow(slot):
        with pytest.raises(Killed):
            scheduler(dies).run()
        return {}

    def dies(slot):
        raise Killed

    scheduler(slow).run()
    assert db.ticks.find_one({"_id": "roll"})["done_through"] == START - MINUTE


def test_a_slot_that_always_fails_does_not_stop_the_tick_for_ever(db, scheduler, clock):
    def breaks(slot):
        if slot == START:
            raise ValueError("never works")
        db.effects.insert_one({"_id": slot})
        return {}

    clock.now += MINUTE
    db.ticks.insert_one({"_id": "roll", "done_through": START - MINUTE, "tries": 0})
    for _ in range(slots.TRIES):
        with pytest.raises(ValueError):
            scheduler(effect=breaks).run()
    scheduler(effect=breaks).run()
    assert effects(db) == minutes(1)
    assert db.ticks.find_one({})["tries"] == 0


@pytest.mark.parametrize("seed", range(4))
def test_two_schedulers_that_die_all_the_time_do_each_slot_once(db, scheduler, clock, seed):
    dice = random.Random(seed)

    def effect(slot):
        if dice.random() < 0.2:
            raise Killed
        try:
            db.effects.insert_one({"_id": slot})
        except DuplicateKeyError:
            return {}
        if dice.random() < 0.2:
            raise Killed
        return {"put": 1}

    for _ in range(60):
        clock.now += timedelta(seconds=dice.choice([5, 20, 60, 130]))
        try:
            scheduler(effect).run()
        except Killed:
            continue
    while True:
        try:
            scheduler(effect).run()
            break
        except Killed:
            continue
    first, last = effects(db)[0], effects(db)[-1]
    assert effects(db) == [first + MINUTE * n for n in range((last - first) // MINUTE + 1)]
    assert last == clock.now.replace(second=0)
    assert db.ticks.find_one({"_id": "roll"})["done_through"] == last


def test_after_a_clock_that_was_days_ahead_slots_go_on_from_now(scheduler, clock, db):
    ticking = scheduler()
    ticking.run()
    clock.now = START + timedelta(days=2)
    ticking.run()
    db.effects.delete_many({})
    clock.now = START + MINUTE
    assert ticking.run() is None  # nobody knows whether this one has been
    clock.now += 2 * MINUTE
    ticking.run()
    assert effects(db) == minutes(2, 3)
