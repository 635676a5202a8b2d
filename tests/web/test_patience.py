"""A store that hangs is a 503 at once; one that is only busy is waited for."""

import pytest
from pymongo.errors import NetworkTimeout, OperationFailure

from core.errors import Unavailable
from web.auth import MOST_ROUNDS, Patience


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def patience(clock):
    return Patience(0.7, now=clock)


def timing_out(clock, *, meanwhile=lambda: None):
    tries = []

    def read():
        tries.append(1)
        clock.now += 0.7
        meanwhile()
        raise NetworkTimeout("no answer")

    return tries, read


def test_when_nobody_is_answered_the_store_hangs(patience, clock):
    patience.ask(lambda: "before")
    clock.now += 1
    tries, read = timing_out(clock)
    with pytest.raises(NetworkTimeout):
        patience.ask(read)
    assert len(tries) == 1


def test_when_somebody_else_is_answered_it_is_asked_again(patience, clock):
    tries, read = timing_out(clock, meanwhile=lambda: patience.ask(lambda: "another's"))

    def in_the_end():
        return "mine" if len(tries) == 3 else read()

    assert patience.ask(in_the_end) == "mine"


def test_it_is_not_asked_for_ever(patience, clock):
    tries, read = timing_out(clock, meanwhile=lambda: patience.ask(lambda: "another's"))
    with pytest.raises(Unavailable):
        patience.ask(read)
    assert len(tries) == MOST_ROUNDS


def test_what_is_no_lack_of_time_is_raised_at_once(patience):
    tries = []

    def refused():
        tries.append(1)
        patience.ask(lambda: "another's")
        raise OperationFailure("no")

    with pytest.raises(OperationFailure):
        patience.ask(refused)
    assert len(tries) == 1
