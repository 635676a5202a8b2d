"""The table of states: what may follow what."""

import pytest

from core.runtime import states
from core.runtime.states import BACKOFF, FAILED, READY, STARTING, STOPPED, STOPPING


def reachable(start):
    found, new = set(), {start}
    while new:
        found |= new
        new = {after for before in new for after in states.MOVES[before]} - found
    return found


def test_every_state_can_be_reached_and_left_towards_stopped():
    assert reachable(STOPPED) == set(states.STATUSES)
    for status in states.STATUSES:
        assert STOPPED in reachable(status), status


def test_nothing_becomes_ready_but_what_was_started():
    assert {before for before, after in states.MOVES.items() if READY in after} == {STARTING, "unhealthy"}


def test_a_process_is_stopped_only_by_being_told_to():
    for status in states.WITH_PROCESS - {STOPPING}:
        assert STOPPED not in states.MOVES[status]


@pytest.mark.parametrize(("before", "after"), [(STOPPED, READY), (FAILED, READY), (BACKOFF, STOPPING)])
def test_an_illegal_move_is_a_mistake_in_the_code(before, after):
    with pytest.raises(states.IllegalMove, match=f"{before} is never followed by {after}"):
        states.check(before, after)
