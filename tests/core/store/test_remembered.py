"""What is remembered: for a moment, until somebody tells, and never what may have changed meanwhile."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from core.store import remembered
from core.store.remembered import Remembered


class Clock:
    now = 100.0


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def memory(clock):
    return Remembered(kept_s=1.0, now=lambda: clock.now)


def test_it_reads_once_within_a_moment_and_again_after_it(memory, clock):
    assert memory.get("a", lambda: 1) == 1
    clock.now += 0.99
    assert memory.get("a", lambda: 2) == 1
    clock.now += 0.01
    assert memory.get("a", lambda: 3) == 3


def test_the_moment_begins_before_the_reading(memory, clock):
    def slowly():
        clock.now += 0.9
        return 1

    memory.get("a", slowly)
    clock.now += 0.2
    assert memory.get("a", lambda: 2) == 2


def test_names_do_not_share(memory):
    assert (memory.get("a", lambda: 1), memory.get("b", lambda: 2)) == (1, 2)


def test_what_is_not_there_is_looked_for_again(memory):
    assert memory.get("a", lambda: None) is None
    assert memory.get("a", lambda: 1) == 1


def test_when_told_it_forgets(memory):
    memory.get("a", lambda: 1)
    memory.forget()
    assert memory.get("a", lambda: 2) == 2


def test_what_was_read_while_it_was_told_is_not_kept(memory):
    def meanwhile():
        memory.forget()
        return "old"

    assert memory.get("a", meanwhile) == "old"
    assert memory.get("a", lambda: "new") == "new"


def test_it_keeps_the_newest_and_never_more_than_it_may(memory, monkeypatch):
    monkeypatch.setattr(remembered, "MOST", 2)
    for name in "abc":
        memory.get(name, lambda name=name: name)
    assert memory.get("c", lambda: "again") == "c"
    assert memory.get("a", lambda: "again") == "again"


@pytest.fixture
def somebody_waits(monkeypatch):
    """Set as soon as somebody waits for another's reading."""
    found = threading.Event()

    class Noticed(threading.Event):
        def wait(self, timeout=None):
            found.set()
            return super().wait(timeout)

    monkeypatch.setattr(remembered, "threading", SimpleNamespace(Event=Noticed))
    monkeypatch.setattr(remembered, "SHARED_S", 60)
    return found


def both(memory, first, second, began):
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(memory.get, "a", first)
        assert began.wait(60)
        other = pool.submit(memory.get, "a", second)
        return one.exception() or one.result(), other.result()


def test_what_another_reads_just_now_is_read_once_for_both(memory, somebody_waits):
    began = threading.Event()

    def first():
        began.set()
        return somebody_waits.wait(60) and "once"

    assert both(memory, first, lambda: "twice", began) == ("once", "once")


def test_who_waited_for_a_reading_that_failed_reads_too(memory, somebody_waits):
    began, failure = threading.Event(), OSError("away")

    def first():
        began.set()
        somebody_waits.wait(60)
        raise failure

    assert both(memory, first, lambda: "found", began) == (failure, "found")


def test_who_waited_for_what_may_have_changed_meanwhile_reads_too(memory, somebody_waits):
    began = threading.Event()

    def first():
        began.set()
        somebody_waits.wait(60)
        memory.forget()
        return "old"

    assert both(memory, first, lambda: "new", began) == ("old", "new")


def test_nobody_waits_long_for_anothers_reading(memory, somebody_waits, monkeypatch):
    monkeypatch.setattr(remembered, "SHARED_S", 0.01)
    began, read = threading.Event(), threading.Event()

    def first():
        began.set()
        return read.wait(60) and "late"

    def second():
        read.set()
        return "meanwhile"

    assert both(memory, first, second, began) == ("late", "meanwhile")
