"""Runs: the leader alone carries ticks out, one at a time; what failed or does not end can be seen."""

import threading
from datetime import timedelta

import pytest

from core.clock import utcnow
from core.scheduling import runs, ticks
from core.scheduling.runs import Runs, Tick, slotted


@pytest.fixture
def did():
    return []


@pytest.fixture
def make(db):
    def make(*table, leads=True):
        return Runs(db, table, may_act=lambda: leads)

    return make


def shown(db, name):
    (found,) = [tick for tick in ticks.listed(db) if tick["name"] == name]
    return found


def test_the_leader_alone_acts(db, make, did):
    tick = Tick("one", 1, lambda: did.append("one") or {"done": 1})
    make(tick, leads=False).run("one")
    assert did == []
    make(tick).run("one")
    assert did == ["one"]
    assert shown(db, "one")["result"] == {"done": 1}


def test_a_tick_that_fails_is_shown_and_raises_nothing(db, make):
    def breaks():
        raise ValueError

    make(Tick("broken", 1, breaks)).run("broken")
    assert shown(db, "broken")["error"] == "ValueError"


def test_a_tick_with_nothing_due_writes_nothing(db, make):
    make(Tick("idle", 60, lambda: None)).run("idle")
    assert ticks.listed(db) == []


def test_a_run_is_shown_once_it_is_long_and_no_more_when_it_has_ended(db, make, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()

    def waits():
        begun.set()
        go_on.wait()
        return {}

    waiting = make(Tick("waits", 1, waits))
    thread = threading.Thread(target=waiting.run, args=["waits"], daemon=True)
    thread.start()
    begun.wait()
    waiting.look()
    assert shown(db, "waits")["running_since"] is None
    assert not waiting.ended_within(0)
    monkeypatch.setattr(runs, "LONG", timedelta(0))
    waiting.look()
    assert shown(db, "waits")["running_since"] is not None
    go_on.set()
    thread.join()
    assert waiting.ended_within(0)
    waiting.look()
    assert shown(db, "waits")["running_since"] is None


def test_what_a_dead_leader_ran_is_not_shown_as_running(db, make):
    db.ticks.insert_one({"_id": "hung", "running_since": utcnow()})
    make(leads=False).look()
    assert shown(db, "hung")["running_since"] is not None
    make().look()
    assert shown(db, "hung")["running_since"] is None


def test_a_tick_that_is_asked_for_runs_at_once_and_its_times_stay_as_they_are(db, make, did):
    hourly = make(slotted(db, "hourly", 3600, lambda at: did.append(at) or {}))
    hourly.run("hourly")
    hourly.run("hourly")
    assert len(did) == 1
    ticks.ask(db, "hourly")
    assert hourly.look() == ["hourly"]
    hourly.run("hourly")
    hourly.run("hourly")
    assert len(did) == 2
    assert db.ticks.find_one({"_id": "hourly"})["done_through"] == did[0]


def test_a_tick_is_shown_and_can_be_asked_for_before_it_has_run(db, make, did):
    hourly = make(slotted(db, "hourly", 3600, lambda at: did.append(at) or {}))
    hourly.look()
    told = shown(db, "hourly")
    assert (told["every_s"], told["last_run"], told["next_run"]) == (3600, None, None)
    ticks.ask(db, "hourly")
    assert hourly.look() == ["hourly"]
    hourly.run("hourly")
    assert len(did) == 1


def test_only_the_leader_hears_what_is_asked_for_and_only_of_its_own_ticks(db, make):
    tick = Tick("one", 1, dict)
    make(tick).run("one")
    db.ticks.insert_one({"_id": "of another version", "asked": True})
    ticks.ask(db, "one")
    assert make(tick, leads=False).look() == []
    assert make(tick).look() == ["one"]


def test_two_ticks_of_one_name_are_refused(make):
    with pytest.raises(ValueError, match="have the same name"):
        make(Tick("greet", 1, dict), Tick("greet", 2, dict))
