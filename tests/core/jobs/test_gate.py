"""The gate: who is inside, and whose turn it is."""

import threading
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from core.jobs.gate import Gate
from tests.waiting import LONG_S, until


class Visitors:
    """Threads that go into a gate, tell so, and stay until they are let go."""

    def __init__(self, gate):
        self.gate = gate
        self.inside = []
        self.threads = []

    def come(self, *names):
        """`a1` is of the workspace a; each waits before the next comes, if it has to."""
        for name in names:
            go = threading.Event()
            thread = threading.Thread(target=self._visit, args=(name, go), daemon=True)
            known = self._known()
            thread.start()
            self.threads.append((name, go, thread))
            until(lambda known=known: self._known() > known, f"{name} has come")

    def go(self, name):
        """This one leaves, and the next is inside."""
        ((_, go, thread),) = [one for one in self.threads if one[0] == name]
        go.set()
        thread.join(LONG_S)
        waiting = sum(map(len, self.gate._waiting.values()))
        until(lambda: len(self.inside) == len(self.threads) - waiting, "the next is inside")

    def all_go(self):
        for _, go, _ in self.threads:
            go.set()
        for _, _, thread in self.threads:
            thread.join(LONG_S)

    def _known(self):
        return len(self.inside) + sum(map(len, self.gate._waiting.values()))

    def _visit(self, name, go):
        with self.gate.place(name[0]):
            self.inside.append(name)
            go.wait(LONG_S)


@pytest.fixture
def visitors():
    visitors = Visitors(Gate(2))
    yield visitors
    visitors.all_go()


def test_no_more_are_inside_than_have_a_place(visitors):
    visitors.come("a1", "a2", "a3")
    assert visitors.inside == ["a1", "a2"]
    visitors.go("a1")
    assert visitors.inside == ["a1", "a2", "a3"]


def test_a_workspace_that_has_fewest_inside_is_next_however_many_came_before(visitors):
    visitors.come("a1", "a2", "a3", "a4", "b1")
    visitors.go("a1")
    assert visitors.inside[-1] == "b1"


def test_of_those_that_have_as_few_each_has_its_turn(visitors):
    visitors.come("a1", "b1", "a2", "a3", "c1", "c2", "d1")
    for name in ("a1", "b1", "a2", "c1"):
        visitors.go(name)
    assert visitors.inside == ["a1", "b1", "a2", "c1", "d1", "a3"]


def test_whoever_is_ended_while_it_waits_or_inside_leaves_its_place_to_others():
    gate = Gate(1)
    with ExitStack() as stack:
        stack.enter_context(gate.place("a"))
        ended = threading.Thread(target=_ended, args=(gate,), daemon=True)
        ended.start()
        ended.join(LONG_S)
        assert not gate._waiting
    with pytest.raises(ZeroDivisionError), gate.place("a"):
        raise ZeroDivisionError
    with gate.place("b"):
        assert gate._inside == {"b": 1}
    assert not gate._inside


def test_whoever_is_ended_just_when_its_turn_comes_passes_it_on():
    gate = Gate(1)
    with gate.place("a"):
        given = threading.Thread(target=_ended, args=(gate, gate._leave), daemon=True)
        given.start()
        given.join(LONG_S)
        gate._free, gate._inside["a"] = 0, 1  # the first is still inside
    with gate.place("b"):
        assert gate._free == 0
    assert gate._free == 1


def _ended(gate, before=lambda _: None):
    """Waits for a place until it is ended, as a greenlet is killed; `before` that something happens."""

    class Ended(threading.Event):
        def wait(self, timeout=None):
            before("a")
            raise SystemExit

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("core.jobs.gate.threading", SimpleNamespace(Event=Ended))
        with pytest.raises(SystemExit), gate.place("a"):
            raise AssertionError("it has no place")
