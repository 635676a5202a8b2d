"""Ticks: what ran, how it went, and asking for one."""

from datetime import timedelta

import pytest

from core.clock import rfc3339, utcnow
from core.errors import NotFound
from core.scheduling import ticks
from core.scheduling.ticks import Notes


def test_what_a_tick_did_can_be_seen(db):
    Notes(db).note("meter", 1, ms=12, result={"rows": 3})
    (seen,) = ticks.listed(db)
    assert (seen["name"], seen["every_s"], seen["duration_ms"], seen["result"]) == (
        "meter",
        1,
        12,
        {"rows": 3},
    )
    assert seen["error"] is None
    assert seen["next_run"] > seen["last_run"] == seen["last_effect"]


def test_a_tick_with_nothing_to_do_writes_now_and_then_only(db):
    now = [0.0]
    notes = Notes(db, monotonic=lambda: now[0])
    for second in range(25):
        now[0] = float(second)
        notes.note("meter", 1, ms=second, result={})
    assert ticks.listed(db)[0]["duration_ms"] == 20
    notes.note("meter", 1, ms=99, result={"rows": 1})
    notes.note("meter", 1, ms=100, result={}, error="ValueError")
    assert (ticks.listed(db)[0]["error"], ticks.listed(db)[0]["result"]) == ("ValueError", {})


def test_asking_is_heard_once(db):
    Notes(db).note("meter", 1, ms=1, result={})
    ticks.ask(db, "meter")
    ticks.ask(db, "meter")
    assert ticks.asked(db) == ["meter"]
    assert ticks.asked(db) == []
    with pytest.raises(NotFound):
        ticks.ask(db, "no such tick")


def test_the_next_run_is_of_the_tables_times_and_never_over(db):
    now = utcnow()
    for name, every_s, done_through in (("roll", 3600, now - timedelta(minutes=50)), ("meter", 1, None)):
        Notes(db).note(name, every_s, ms=1, result={})
        db.ticks.update_one({"_id": name}, {"$set": {"last_run": now - timedelta(seconds=5)}})
        if done_through:
            db.ticks.update_one({"_id": name}, {"$set": {"done_through": done_through}})
    meter, roll = ticks.listed(db)
    assert roll["next_run"] == rfc3339(now + timedelta(minutes=10))
    assert meter["next_run"] >= rfc3339(now)
