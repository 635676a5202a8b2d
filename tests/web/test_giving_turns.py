"""Whoever is never made to wait lets others go on: those who wait for a socket, too."""

from __future__ import annotations

import gevent
from gevent import socket

from web.turns import others_first

ROUNDS = 10


def rounds_until_heard(give_way):
    """How often `give_way` was called until somebody had read what came before the first time."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reader = gevent.spawn(ours.recv, 1)
        gevent.idle()
        theirs.send(b"x")
        for n in range(ROUNDS):
            if reader.ready():
                return n
            give_way()
    return ROUNDS


def test_who_waits_for_a_socket_has_a_turn():
    assert rounds_until_heard(others_first) <= 2


def test_a_sleep_of_no_time_looks_at_no_socket():
    """Else `others_first` is not needed any more."""
    assert rounds_until_heard(lambda: gevent.sleep(0)) == ROUNDS


def test_who_gives_way_has_a_turn_beside_somebody_who_never_waits():
    turns = []

    def never_waits():
        while len(turns) < ROUNDS:
            turns.append("other")
            others_first()

    other = gevent.spawn(never_waits)
    others_first()
    others_first()
    turns.append("mine")
    other.join()
    assert turns.index("mine") < ROUNDS
