"""Providers that misbehave: each call ends in the right state, within its deadline, in bounded memory."""

from __future__ import annotations

import gzip
import json
import resource
import subprocess
import sys
import zlib
from dataclasses import dataclass

import pytest

from core.config import Settings
from core.llm import router
from core.llm.failures import ProviderError
from core.llm.types import ChatRequest, Target
from tests.providers.hasty import NO_ANSWER, NO_END, Hasty
from tests.providers.scripted import answering, dying, head, provider, silent, streaming, trickling
from tests.providers.vendors import BEGINNING, END, MORE, PING, WHOLE, good
from tests.stack import ROOT
from tests.waiting import LONG_S, ending

MOST = 1_000_000
WIRES = ("openai", "anthropic")
STREAM = head(200, "text/event-stream", ("Connection", "close"))
CHUNKED = head(200, "text/event-stream", ("Transfer-Encoding", "chunked"))
NO_CHUNKS = CHUNKED + b"0\r\n"
EXTENDED_CHUNK = b"1;x=" + b"y" * 60_000 + b"\r\n \r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
TIMEOUT, BUSY, BROKEN, REFUSED = "provider_timeout", "provider_busy", "stream_broken", "provider_refused"


def bomb(megabytes):
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(b"x" * 1_000_000) for _ in range(megabytes)) + packer.flush()


BOMB = bomb(300)


def endless(piece, begin=b""):
    """As fast as it is read, until the client has had enough."""

    def answer(write):
        write(begin)
        while True:
            write(piece)

    return answer


@dataclass(frozen=True)
class Habit:
    """`outcome` of the first call; `said`: what is kept of a broken stream; `streams`: when it shows.

    `timed`: only a deadline ends it. All others must not need one.
    """

    name: str
    answer: object
    outcome: str
    said: str | None = None
    streams: tuple[bool, ...] = (False, True)
    timed: bool = False


def begins(then, **more):
    """A stream that says Hel, and then …"""
    return lambda wire: streaming(BEGINNING[wire], then=then, **more)


S, W = (True,), (False,)
HABITS = [
    Habit("closes without a word", lambda _: dying, BUSY),
    Habit("says nothing", lambda _: silent, TIMEOUT, timed=True),
    Habit(
        "says nothing after the head", lambda _: trickling(STREAM, b"", every=5, most=1), TIMEOUT, timed=True
    ),
    Habit(
        "a byte of the head at a time",
        lambda _: trickling(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
        TIMEOUT,
        timed=True,
    ),
    Habit(
        "a header line at a time",
        lambda _: trickling(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        TIMEOUT,
        timed=True,
    ),
    Habit(
        "continue, for ever", lambda _: trickling(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), TIMEOUT, timed=True
    ),
    Habit("a byte of the body at a time", lambda _: trickling(STREAM, b"x"), TIMEOUT, timed=True),
    Habit("a space at a time", lambda _: trickling(STREAM, b" "), TIMEOUT, timed=True),
    Habit(
        "comments and pings, no token",
        lambda wire: trickling(STREAM, PING[wire]),
        TIMEOUT,
        streams=S,
        timed=True,
    ),
    Habit("a chunk's size, digit by digit", lambda _: trickling(CHUNKED, b"0"), TIMEOUT, timed=True),
    Habit("a huge header", lambda _: endless(b"x" * 65536, b"HTTP/1.1 200 OK\r\nX: "), BUSY),
    Habit("a thousand headers", lambda _: endless(b"X-More: y\r\n", b"HTTP/1.1 200 OK\r\n"), BUSY),
    Habit("continue, for ever and fast", lambda _: endless(CONTINUE * 1000), BUSY),
    Habit("trailers, for ever and fast", lambda _: endless(b"X-More: y\r\n" * 1000, NO_CHUNKS), BUSY),
    Habit("a chunk's extension, endless", lambda _: endless(EXTENDED_CHUNK, CHUNKED), BUSY),
    Habit("no HTTP", lambda _: trickling(b"SSH-2.0-OpenSSH_9.9\r\n", b"", every=0.01, most=1), BUSY),
    Habit("garbage", lambda _: answering(b"\xff\xfe\x00garbage"), BUSY),
    Habit("an HTML page", lambda _: answering(b"<html>It works!</html>"), BUSY),
    Habit("an empty body", lambda _: answering(b""), BUSY),
    Habit("JSON of another kind", lambda _: answering([1, "two", None]), BUSY, streams=W),
    Habit("a nest of lists", lambda _: answering(b"[" * 200_000), BUSY),
    Habit("a list of a million", lambda _: answering(b'{"id": [' + b"0," * 400_000 + b"0]}"), BUSY),
    Habit("garbled chunks", lambda _: trickling(CHUNKED + b"zz\r\nno\r\n", b"", every=0.01, most=1), BUSY),
    Habit("chunks cut off", lambda wire: trickling(CHUNKED + b"ffff\r\nda", b"", every=0, most=1), BUSY),
    Habit(
        "a shorter body than promised",
        lambda _: trickling(head(200, "a/b", ("Content-Length", 999)), b"{", 0, 1),
        BUSY,
    ),
    Habit("a hundred megabytes", lambda _: endless(b"x" * 65536, STREAM), BUSY),
    Habit(
        "a hundred megabytes of events",
        lambda _: endless(b'data: {"x": "%s"}\n\n' % (b"y" * 60_000), STREAM),
        BUSY,
        streams=S,
    ),
    Habit("a gzip bomb", lambda _: answering(BOMB, 200, ("Content-Encoding", "gzip")), BUSY),
    Habit(
        "a redirect, endless",
        lambda _: endless(b"x" * 65536, head(302, "a/b", ("Location", "/elsewhere"))),
        REFUSED,
    ),
    Habit("an error, a byte at a time", lambda _: trickling(head(400), b"x"), REFUSED, timed=True),
    Habit("an error, endless", lambda _: endless(b"x" * 65536, head(400)), REFUSED),
    Habit("dies in mid-stream", begins(b""), BROKEN, "Hel", S),
    Habit("half a character", begins('data: {"a": "é'.encode()[:-1]), BROKEN, "Hel", S),
    Habit("garbage in mid-stream", begins(b"data: }{\n\n"), BROKEN, "Hel", S),
    Habit(
        "falls silent in mid-stream",
        lambda wire: trickling(STREAM + BEGINNING[wire], b"", 5, 1),
        BROKEN,
        "Hel",
        S,
        timed=True,
    ),
    Habit(
        "pings in mid-stream",
        lambda wire: trickling(STREAM + BEGINNING[wire], PING[wire]),
        BROKEN,
        "Hel",
        S,
        timed=True,
    ),
    Habit(
        "a byte at a time in mid-stream",
        lambda wire: trickling(STREAM + BEGINNING[wire], b"d"),
        BROKEN,
        "Hel",
        S,
        timed=True,
    ),
    Habit(
        "endless line in mid-stream",
        lambda wire: endless(b"x" * 65536, STREAM + BEGINNING[wire] + b"data: "),
        BROKEN,
        "Hel",
        S,
    ),
    Habit(
        "tokens for ever, fast",
        lambda wire: endless(MORE[wire].replace(b'lo"', b"lo" * 20 + b'"') * 100, STREAM + BEGINNING[wire]),
        BROKEN,
        "Hello",
        S,
    ),
    Habit(
        "tokens for ever",
        lambda wire: trickling(STREAM + BEGINNING[wire] + MORE[wire], MORE[wire]),
        BROKEN,
        "Hello",
        S,
        timed=True,
    ),
]
CASES = [(habit, wire, stream) for habit in HABITS for wire in WIRES for stream in habit.streams]
IDS = [f"{habit.name}, {wire}, {'streamed' if stream else 'whole'}" for habit, wire, stream in CASES]


@pytest.fixture(scope="module")
def peak_before():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.fixture(scope="module")
def servers(peak_before):
    with provider() as bad, provider() as next_one:
        yield bad, next_one


@pytest.fixture
def transport():
    yield from to(NO_ANSWER)


@pytest.fixture
def hears_the_beginning():
    yield from to(NO_END)


def to(deadlines):
    """With these deadlines for the one whose `url` it is told."""
    made = Hasty(Settings(provider_answer_bytes=MOST), deadlines)
    yield made
    made.close()


def ask(transport, wire, stream, *urls):
    """(answer, error, calls)"""
    calls = []
    targets = [Target(wire, f"model{n}", wire, url, f"secret-{n}", "byokey") for n, url in enumerate(urls)]
    request = ChatRequest([{"role": "user", "content": "Hello"}], stream=stream)
    try:
        return (
            router.run(request, targets, transport=transport, calls=calls, sleep=lambda _: None),
            None,
            calls,
        )
    except ProviderError as error:
        return None, error, calls


@pytest.mark.parametrize(("habit", "wire", "stream"), CASES, ids=IDS)
def test_it_ends_in_the_right_state_within_its_deadline(
    habit, wire, stream, servers, transport, hears_the_beginning
):
    bad, next_one = servers[0].says(habit.answer(wire)), servers[1].says(good(wire, stream))
    used = transport if habit.outcome == TIMEOUT else hears_the_beginning
    used.url = bad.url if habit.timed else ""
    answer, error, calls = ending(lambda: ask(used, wire, stream, bad.url, next_one.url))
    assert calls[0]["outcome"] == habit.outcome
    assert all(call["outcome"] != "in_flight" and call["latency_ms"] is not None for call in calls)
    if habit.outcome == BROKEN:
        assert error.partial["content"].startswith(habit.said)
        assert calls[0]["usage"]["tokens_output"] > 0
        assert (calls[0]["usage_status"], calls[0]["possibly_charged"]) == ("estimated", True)
        assert next_one.received == []
    elif habit.outcome == REFUSED:
        assert error.code == REFUSED
        assert next_one.received == []
    else:
        assert answer.message["content"] in ("Hi", "Hello")
        assert calls[-1]["outcome"] == "ok"


def test_all_of_it_was_read_in_bounded_memory(peak_before, servers):
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak_before
    assert grown_kb < 200_000


@pytest.mark.parametrize("wire", WIRES)
def test_what_breaks_after_the_answer_is_whole_breaks_nothing(wire, servers, transport):
    bad = servers[0].says(
        streaming(BEGINNING[wire], MORE[wire], END[wire], then=b"data: }{\n\n" + b"\xff" * 99)
    )
    answer, _, calls = ask(transport, wire, True, bad.url)
    assert answer.message["content"] == "Hello"
    assert [call["outcome"] for call in calls] == ["ok"]


@pytest.mark.parametrize("wire", WIRES)
def test_a_compressed_answer_of_sane_size_is_read(wire, servers, transport):
    packed = gzip.compress(json.dumps(WHOLE[wire]).encode())
    bad = servers[0].says(answering(packed, 200, ("Content-Encoding", "gzip")))
    answer, _, _ = ask(transport, wire, False, bad.url)
    assert answer.message["content"] == "Hi"


@pytest.mark.parametrize(
    "name", ["a byte of the head at a time", "a byte of the body at a time", "says nothing"]
)
def test_deadlines_hold_under_gevent_too(name):
    habit = next(habit for habit in HABITS if habit.name == name)
    with provider(habit.answer("openai")) as bad:
        script = [sys.executable, "-m", "tests.providers.ask_under_gevent", bad.url]
        done = subprocess.run(script, cwd=ROOT, capture_output=True, timeout=2 * LONG_S, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == ["provider_timeout", "provider_timeout"]


FLOODS = {
    "interim answers": (endless(CONTINUE * 1000), [], [BUSY] * 3),
    "trailers": (endless(b"X-More: y\r\n" * 1000, NO_CHUNKS), [], [BUSY] * 3),
    "comments, cancelled": (endless(PING["openai"] * 1000, STREAM), ["cancel"], ["in_flight"]),
}


@pytest.mark.parametrize("flood", FLOODS)
def test_under_gevent_a_flood_holds_up_nobody_else_and_can_be_cancelled(flood):
    answer, how, outcomes = FLOODS[flood]
    with provider(answer) as bad, provider(good("openai", True)) as other:
        script = [sys.executable, "-m", "tests.providers.flooded_under_gevent", bad.url, other.url, *how]
        done = subprocess.run(script, cwd=ROOT, capture_output=True, timeout=2 * LONG_S, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [["ok"], outcomes]
