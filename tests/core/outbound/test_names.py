"""Names: those of one workspace, however slow, leave others' alone; no answer is waited for without end."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.outbound import names as module
from core.outbound.errors import NoConnection
from core.outbound.names import Names, asked_for_by
from tests.waiting import until

FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 443))]


@pytest.fixture(autouse=True)
def busy_machine(monkeypatch):
    """On which whoever comes at once may come late."""
    monkeypatch.setattr(module, "JOINED_S", float("inf"))


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


def test_who_wants_a_name_that_is_asked_for_already_waits_for_that_answer(slow):
    names = Names(slow, share=1)
    with ThreadPoolExecutor(8) as patient:
        first = patient.submit(found, names, "w1", "slow")
        until(lambda: slow.asked, "it is asked")
        assert given_up(names, "w1") == "the name slow was not resolved in time"
        others = [patient.submit(found, names, "w1", "slow") for _ in range(7)]
        assert slow.asked == ["slow"]
        slow.answers.set()
        assert [asked.result() for asked in (first, *others)] == [FOUND] * 8


def test_no_name_has_all_that_wait_for_it_told_so():
    asked, says_so = [], threading.Event()

    def resolve(host, port, **_):
        asked.append(host)
        says_so.wait(60)
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    names = Names(resolve)
    with ThreadPoolExecutor(3) as patient:
        told = [patient.submit(given_up, names, "w1", "none", 60) for _ in range(3)]
        until(lambda: asked, "it is asked")
        says_so.set()
        assert {one.result() for one in told} == {"the name none does not resolve"}


def test_what_is_answered_is_asked_for_again():
    moves = iter(["1.1.1.1", "10.0.0.1"])
    names = Names(lambda host, port, **_: [next(moves)])
    assert [found(names, "w1"), found(names, "w1")] == [["1.1.1.1"], ["10.0.0.1"]]


def test_workspaces_wait_for_answers_of_their_own_and_those_without_a_share_for_the_same(slow):
    apart, together = Names(slow), Names(slow, share=None)
    for whose in ("w1", "w2", "w1"):
        given_up(apart, whose)
    assert slow.asked == ["slow", "slow"]
    for whose in ("w1", "w2", "w1"):
        given_up(together, whose)
    assert slow.asked == ["slow", "slow", "slow"]


def test_another_port_is_another_question(slow):
    names = Names(slow, share=2)
    given_up(names, "w1")
    with asked_for_by("w1"), pytest.raises(NoConnection):
        names.resolve("slow", 8443, 0.01)
    assert slow.asked == ["slow", "slow"]


def test_who_comes_late_asks_again_within_the_bound(slow, monkeypatch):
    """So a question that was lost on its way keeps those few alone who joined it at once."""
    monkeypatch.setattr(module, "JOINED_S", 0.0)
    names = Names(slow, share=2)
    told = [given_up(names, "w1") for _ in range(3)]
    assert told == ["the name slow was not resolved in time"] * 2 + ["too many slow names are being resolved"]
    assert slow.asked == ["slow", "slow"]


def test_where_no_thread_is_left_the_name_is_unknown_and_its_place_free_again(slow, monkeypatch):
    def none_left(_):
        raise RuntimeError("can't start new thread")

    names = Names(slow, share=1)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_left)
        assert given_up(names, "w1", "quick") == "the name quick does not resolve"
    assert found(names, "w1") == FOUND


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "1.1.1.1",
        "255.255.255.255",
        "::1",
        "::",
        "2606:4700:4700::1111",
        "2606:4700:4700:0:0:0:0:1111",
        "FD00::A",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "::127.0.0.1",
        "64:ff9b::1.1.1.1",
        "fe80::1",
    ],
)
def test_an_address_is_not_asked_for_and_found_as_the_system_finds_it(slow, address):
    names = Names(slow)
    assert found(names, "w1", address) == socket.getaddrinfo(address, 443, type=socket.SOCK_STREAM)
    assert slow.asked == []


@pytest.mark.parametrize(
    "host",
    ["127.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.0.0.01", "127.0.0.1.", "fe80::1%lo", "[::1]", ""],
)
def test_an_address_in_another_spelling_is_the_resolvers_to_read(slow, host):
    assert found(Names(slow), "w1", host) == FOUND
    assert slow.asked == [host]
