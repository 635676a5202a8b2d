"""Names: those of one workspace, however slow, leave others' alone; no answer is waited for without end."""

from __future__ import annotations

import socket
import threading

import pytest

from core.outbound.errors import NoConnection
from core.outbound.names import Names, asked_for_by
from tests.waiting import until

FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 443))]


@pytest.fixture
def slow():
    """A resolver that answers for names that begin with `slow` only when it is told."""

    def resolve(host, port, **_):
        resolve.asked.append(host)
        if host.startswith("slow"):
            resolve.answers.wait(60)
        if host.startswith("none"):
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return FOUND

    resolve.asked, resolve.answers = [], threading.Event()
    yield resolve
    resolve.answers.set()


def given_up(names, whose, host="slow", within_s=0.01):
    with asked_for_by(whose), pytest.raises(NoConnection) as told:
        names.resolve(host, 443, within_s)
    return str(told.value)


def found(names, whose, host="quick", within_s=60):
    with asked_for_by(whose):
        return names.resolve(host, 443, within_s)


def test_a_name_that_is_not_resolved_in_time_is_no_connection(slow):
    assert given_up(Names(slow), "w1") == "the name slow was not resolved in time"
    assert given_up(Names(slow), "w1", "none", 60) == "the name none does not resolve"
    assert found(Names(slow), "w1") == FOUND


def test_slow_names_of_one_workspace_leave_those_of_others_alone(slow):
    names = Names(slow, at_once=8, share=2)
    told = [given_up(names, "w1", f"slow{n}") for n in range(30)]
    assert told[2:] == ["too many slow names are being resolved"] * 28
    assert slow.asked == ["slow0", "slow1"]
    assert found(names, "w2") == FOUND


def test_so_many_names_are_resolved_at_once_and_no_more(slow):
    names = Names(slow, at_once=3, share=2)
    told = [given_up(names, f"w{n}") for n in range(5)]
    assert told[3:] == ["too many slow names are being resolved"] * 2
    slow.answers.set()
    assert found(names, "w9") == FOUND


def test_once_its_slow_names_are_answered_a_workspace_goes_on(slow):
    names = Names(slow, share=1)
    given_up(names, "w1")
    given_up(names, "w1", "quick")
    slow.answers.set()
    assert found(names, "w1") == FOUND
    until(lambda: not names._asked, "nothing is asked any more")
