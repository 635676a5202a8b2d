"""A loop goes on, whatever a round of it raises."""

from __future__ import annotations

import threading

import pytest
import structlog

import core.loop
from core.loop import Loop
from tests.waiting import LONG_S, ending, until


@pytest.fixture
def rounds():
    """What each round does in turn; the last one again and again. `begun`: those that were."""

    class Rounds:
        def __init__(self):
            self.begun = []
            self.raised = []

        def __call__(self):
            self.begun.append(threading.current_thread())
            if self.raised:
                raise self.raised.pop(0)

    return Rounds()


@pytest.mark.parametrize("raised", [OSError("away"), ValueError("broken")], ids=["away", "broken"])
def test_the_next_round_comes_and_what_was_raised_is_written_down(rounds, raised):
    rounds.raised = [raised]
    with structlog.testing.capture_logs() as logs:
        loop = Loop("a loop", rounds, 0.01, away=(OSError,))
        loop.start()
        until(lambda: len(rounds.begun) >= 3, "it goes on")
        loop.close()
    (line,) = logs
    assert (line["loop"], line["log_level"]) == (
        "a loop",
        "warning" if isinstance(raised, OSError) else "error",
    )


def test_no_round_begins_once_it_is_closed(rounds):
    loop = Loop("a loop", rounds, 0.01)
    loop.start()
    until(lambda: rounds.begun, "it has begun")
    loop.close()
    assert not rounds.begun[0].is_alive()


def test_one_that_waits_for_its_next_round_is_closed_at_once(rounds):
    loop = Loop("a loop", rounds, 3600)
    loop.start()
    until(lambda: rounds.begun, "it has begun")
    loop.close()
    (thread,) = rounds.begun
    assert not thread.is_alive()


def test_one_that_was_never_started_can_be_closed(rounds):
    Loop("a loop", rounds, 0.01).close()
    assert not rounds.begun


def test_one_that_hangs_in_a_round_holds_up_no_end(monkeypatch):
    monkeypatch.setattr(core.loop, "CLOSED_WITHIN_S", 0.01)
    begun, go = threading.Event(), threading.Event()
    loop = Loop("a loop", lambda: (begun.set(), go.wait()), 0.01)
    loop.start()
    assert begun.wait(LONG_S)
    ending(loop.close)
    go.set()
