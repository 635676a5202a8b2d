"""Reading a body past gunicorn's copies: the same bytes, and gunicorn knows where the next request begins."""

from __future__ import annotations

import os
import socket

import pytest
from flask import Request
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser

from web import straight
from web.deadline import TimedInput

BODY = os.urandom(300_000)
HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
WITH_LENGTH = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n"


@pytest.fixture
def arriving():
    """What gunicorn makes of bytes that arrive, and the socket."""
    theirs, ours = socket.socketpair()
    with theirs, ours:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2_000_000)

        def sent(data):
            theirs.sendall(data)
            theirs.shutdown(socket.SHUT_WR)
            return RequestParser(Config(), ours, ("127.0.0.1", 1)), ours

        yield sent


def taken(body, connection, room):
    found, memory = b"", bytearray(room)
    while got := straight.into(body, connection, memoryview(memory)):
        found += memory[:got]
    return found


@pytest.mark.parametrize("room", [1000, 65_537, 1_000_000])
@pytest.mark.parametrize("request_", [WITH_LENGTH, CHUNKED], ids=["with a length", "chunked"])
@pytest.mark.parametrize("read_before", [0, 10, 5000])
def test_the_body_is_whole_and_the_next_request_is_found(arriving, request_, room, read_before):
    parser, connection = arriving(request_ + NEXT)
    body = next(parser).body
    assert body.read(read_before) + taken(body, connection, room) == BODY
    assert next(parser).path == "/next"


def test_what_is_left_unread_is_not_taken_for_the_next_request(arriving):
    parser, connection = arriving(WITH_LENGTH + NEXT)
    straight.into(next(parser).body, connection, memoryview(bytearray(100_000)))
    assert next(parser).path == "/next"


def test_a_body_that_ends_too_early_ends(arriving):
    parser, connection = arriving(WITH_LENGTH[:-1000])
    assert taken(next(parser).body, connection, 65_536) == BODY[:-1000]


def test_a_body_whose_reading_failed_is_known_to_have(arriving):
    parser, connection = arriving(WITH_LENGTH)
    body = next(parser).body
    while body.reader.unreader.buf.getbuffer().nbytes:
        straight.into(body, connection, memoryview(bytearray(100_000)))
    connection.close()
    with pytest.raises(OSError, match="descriptor"):
        straight.into(body, connection, memoryview(bytearray(10)))
    assert body.failed


@pytest.mark.parametrize("size", [10, len(BODY)])
def test_a_body_that_comes_after_its_head_is_whole_for_flask_too(size):
    theirs, ours = socket.socketpair()
    with theirs, ours:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2_000_000)
        theirs.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % size)
        body = next(RequestParser(Config(), ours, ("127.0.0.1", 1))).body
        theirs.sendall(BODY[:size])
        environ = {"CONTENT_LENGTH": str(size), "wsgi.input": TimedInput(body, 60, ours)}
        assert Request({**environ, "REQUEST_METHOD": "POST"}).get_data() == BODY[:size]
