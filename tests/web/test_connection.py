"""A client's connection: who sends what takes long to unpack rests; who sends much that does not goes on."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import gevent
import pytest
from gunicorn.config import Config
from gunicorn.http.errors import NoMoreData
from gunicorn.http.parser import RequestParser

from core import floods
from core.floods import REST, TURN_S, Floods
from web import connection as connections
from web import uploading
from web.api import events
from web.connection import MOST_S, Connection
from web.crowd import Crowd
from web.deadline import BodyDeadline
from web.turns import others_first

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
TINY = CHUNKED + b"1\r\n \r\n" * 20_000 + END


BLOCK = 8192
"""What gunicorn reads of a chunked body at once."""
SLOWED = 3
"""A busy machine: what takes the processor a second takes three."""


class Given(list):
    """How long each read gave way to others, when what runs between two reads takes `costs` seconds."""

    costs = 2 * TURN_S
    processor = 0.0

    def thread_time(self):
        self.processor += self.costs
        return self.processor

    def monotonic(self):
        return SLOWED * self.processor


@pytest.fixture
def gave_way(monkeypatch):
    given = Given()
    monkeypatch.setattr(connections, "time", given)
    monkeypatch.setattr(connections.gevent, "sleep", given.append)
    monkeypatch.setattr(connections, "others_first", lambda: given.append(0.0))
    monkeypatch.setattr(connections, "_floods", Floods(MOST_S))
    monkeypatch.setattr(floods, "time", SimpleNamespace(monotonic=lambda: 0.0))
    return given


@pytest.fixture
def arriving():
    """A client's connection on which these bytes have come, and no more will."""
    theirs, ours = socket.socketpair()
    connection = Connection(Crowd(10), fileno=ours.detach())
    with theirs, connection:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2_000_000)

        def sent(data):
            theirs.sendall(data)
            theirs.shutdown(socket.SHUT_WR)
            return connection

        yield sent


def body_of(parser, connection):
    """What an application of ours reads of the next request."""
    found = []

    def application(environ, _):
        found.append(environ["wsgi.input"].read())
        return []

    environ = {"wsgi.input": next(parser).body, "gunicorn.socket": connection}
    BodyDeadline(application, 60)(environ, None)
    return found[0]


def requests_on(connection):
    return RequestParser(Config(), connection, ("127.0.0.1", 1))


def rests(given):
    return [seconds for seconds in given if seconds > TURN_S]


def test_tiny_chunks_rest_after_each_piece_that_is_unpacked(arriving, gave_way):
    connection = arriving(TINY)
    assert body_of(requests_on(connection), connection) == b" " * 20_000
    assert len(rests(gave_way)) >= len(TINY) // BLOCK - 2


def test_a_rest_is_longer_on_a_busy_machine(arriving, gave_way):
    connection = arriving(TINY)
    body_of(requests_on(connection), connection)
    assert rests(gave_way)[0] == pytest.approx(REST * SLOWED * gave_way.costs, rel=0.01)


def test_many_that_send_tiny_chunks_rest_for_each_other(gave_way, arriving):
    """The second one's rest begins where the first one's ends."""
    connection = arriving(TINY)
    connections._floods.rest(MOST_S)
    body_of(requests_on(connection), connection)
    assert rests(gave_way)[0] > REST * MOST_S


@pytest.mark.parametrize(
    "framed",
    [b"Content-Length: 1000000\r\n\r\n%b", b"Transfer-Encoding: chunked\r\n\r\nf4240\r\n%b\r\n0\r\n\r\n"],
)
def test_a_large_body_goes_on_at_once(arriving, gave_way, framed):
    """What it costs is within what its bytes are worth."""
    gave_way.costs = TURN_S / 4
    connection = arriving(HEAD + framed.replace(b"%b", b" " * 1_000_000))
    assert len(body_of(requests_on(connection), connection)) == 1_000_000
    assert rests(gave_way) == []
    assert gave_way  # but others had their turn


def test_a_body_that_nobody_reads_rests_too(arriving, gave_way):
    """gunicorn looks for the end of it, where the next request begins."""
    parser = requests_on(arriving(TINY + HEAD + b"\r\n"))
    next(parser)
    assert next(parser).headers
    assert rests(gave_way)


def test_what_an_application_does_meanwhile_is_not_counted(arriving, gave_way):
    """Requests that come one after another on a kept connection wait for nothing."""
    gave_way.costs = TURN_S / 4
    connection = arriving((HEAD + b"X: %b\r\n\r\n" % (b"a" * 8100)) * 20)
    parser = requests_on(connection)
    for _ in range(20):
        assert body_of(parser, connection) == b""
    assert rests(gave_way) == []


def test_it_ends_where_the_client_ends(arriving, gave_way):
    parser = requests_on(arriving(CHUNKED + b"1\r\n \r\n"))
    with pytest.raises(NoMoreData):
        next(parser).body.read()


@pytest.fixture
def among_others(gave_way, monkeypatch):
    """A second of work of others whenever they get their turn."""
    gave_way.costs = TURN_S / 100

    def others(**_):
        gave_way.processor += 1.0

    monkeypatch.setattr(gevent, "idle", others)
    monkeypatch.setattr(connections, "others_first", others_first)
    return gave_way


def test_what_others_do_while_a_body_goes_straight_to_memory_is_not_counted(arriving, among_others):
    """Neither in it, nor before the next request on the connection."""
    connection = arriving(HEAD + b"Content-Length: 100000\r\n\r\n" + b" " * 100_000 + HEAD + b"\r\n")
    parser, got, memory = requests_on(connection), [], memoryview(bytearray(10_000))

    def application(environ, _):
        while size := environ["wsgi.input"].into(memory):
            got.append(size)
        return []

    BodyDeadline(application, 60)({"wsgi.input": next(parser).body, "gunicorn.socket": connection}, None)
    assert sum(got) == 100_000
    assert next(parser).headers
    assert rests(among_others) == []


def test_what_others_do_while_a_web_socket_waits_is_not_counted(arriving, among_others, monkeypatch):
    connection = arriving(b"pong" * 10)
    listening = events._Listening(connection)
    monkeypatch.setattr(listening, "_selector", SimpleNamespace(select=lambda _: others_first()))
    for _ in range(10):
        listening.select(25)
        assert connection.recv(4)
    assert rests(among_others) == []


def test_what_others_do_while_a_refused_body_is_drained_is_not_counted(arriving, among_others):
    connection = arriving(b" " * 1_000_000)
    uploading.linger(connection)
    assert connection.recv(1) == b""
    assert rests(among_others) == []
