"""What is remembered: for a moment, until somebody tells, and never what may have changed meanwhile."""

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
