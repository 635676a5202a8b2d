"""The connections of a web process: those that wait for their clients make room for those that come."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import gevent
import pytest

from web.connection import Connection
from web.crowd import FREE_SHARE, WAITING_SHARE, Crowd, Waiting

PLACES = 2 * FREE_SHARE
MAY_WAIT = PLACES // WAITING_SHARE
MANY = 10_000_000
"""Bytes: more than the system takes of what nobody reads."""


@pytest.fixture
def crowd():
    return Crowd(PLACES)


@pytest.fixture
def connected(crowd):
    """Gives a connection and its client's end."""
    with ExitStack() as held:

        def make():
            theirs, ours = socket.socketpair()
            return held.enter_context(Connection(crowd, fileno=ours.detach())), held.enter_context(theirs)

        yield make


def how(act, *given):
    """Begin it; how it ended is in what is returned, if it has."""
    found = []

    def carry_out():
        try:
            found.append(act(*given))
        except OSError as error:
            found.append(type(error))

    gevent.spawn(carry_out)
    settled()
    return found


def settled():
    """All have gone on as far as they can."""
    for _ in range(10):
        gevent.sleep(0.001)


@pytest.mark.parametrize("act", ["recv", "recv_into", "sendall"])
def test_of_too_many_that_wait_the_longest_waiting_is_hung_up_on(connected, act):
    given = {"recv": 1, "recv_into": bytearray(1), "sendall": b"a" * MANY}[act]
    ends = [how(getattr(connected()[0], act), given) for _ in range(MAY_WAIT)]
    assert ends == [[]] * MAY_WAIT
    ends += [how(connected()[0].recv, 1) for _ in range(2)]
    settled()
    assert ends == [[ConnectionResetError]] * 2 + [[]] * MAY_WAIT


def test_who_is_told_something_begins_to_wait_anew(connected):
    waiting = [connected() for _ in range(MAY_WAIT)]
    ends = [how(lambda ours=ours: ours.recv(1) + ours.recv(1)) for ours, _ in waiting]
    waiting[0][1].sendall(b"a")
    settled()
    ends.append(how(connected()[0].recv, 1))
    settled()
    assert ends == [[], [ConnectionResetError]] + [[]] * (MAY_WAIT - 1)


def test_where_few_places_are_free_somebody_who_waits_leaves_its_own(crowd, connected):
    crowd.open = PLACES - PLACES // FREE_SHARE
    ends = [how(connected()[0].recv, 1) for _ in range(2)]
    assert ends == [[], []]
    crowd.open += 1
    ends.append(how(connected()[0].recv, 1))
    settled()
    assert ends == [[ConnectionResetError], [], []]


def test_the_only_one_that_waits_stays_however_few_places_are_free(crowd, connected):
    crowd.open = PLACES
    only = how(connected()[0].recv, 1)
    settled()
    assert only == []
    assert len(crowd.waiting) == 1


def test_one_whose_client_says_something_just_then_is_not_disturbed_later(crowd, connected):
    waiting = Waiting(crowd, connected()[0])
    with waiting:
        waiting.end()
    settled()
    assert not crowd.waiting


def test_for_each_of_two_that_come_at_once_another_is_hung_up_on(crowd, connected):
    ends = [how(connected()[0].recv, 1) for _ in range(3)]
    crowd.open = PLACES
    crowd.make_room()
    crowd.make_room()
    settled()
    assert ends == [[ConnectionResetError]] * 2 + [[]]
