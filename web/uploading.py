"""A request's body as it arrives, in pieces; and a good end for a connection whose body is not wanted."""

from __future__ import annotations

import contextlib
import itertools
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

from flask import Response, after_this_request, request

from core.drive.form import Piece
from core.errors import Invalid
from web.deadline import FORCE_CLOSE

SMALLEST, LARGEST = 64 * 1024, 1024 * 1024
QUICK_S, SLOW_S = 0.25, 1.0
LINGER_S = 5.0
AT_ONCE = 16 * 1024
"""Bytes that each of those takes at a time which are not wanted: they may be all connections."""


def pieces() -> Iterator[Piece]:
    """The body of this request. Raises `Invalid` for one that comes too slowly, or ends too early.

    A piece has changed when the next but one is here: two are filled in turn. Pieces grow while they come
    quickly; whoever is slow must not be cut off because a piece is large.
    """
    stream: Any = request.environ["wsgi.input"]
    read_into = getattr(stream, "into", None) or stream.readinto
    expected, got, size = request.content_length, 0, SMALLEST
    room = LARGEST if expected is None else min(LARGEST, expected)
    for buffer in itertools.cycle((bytearray(room), bytearray(room))):
        began = time.monotonic()
        left = room if expected is None else expected - got
        filled = _fill(memoryview(buffer)[: min(size, left)], read_into)
        if not filled:
            break
        got += filled
        took = time.monotonic() - began
        if took < QUICK_S:
            size = min(size * 2, LARGEST)
        elif took > SLOW_S:
            size = max(size // 2, SMALLEST)
        yield buffer if filled == room else bytes(memoryview(buffer)[:filled])
    if expected is not None and got < expected:
        raise Invalid("the body ended before its Content-Length", code="malformed")


def _fill(room: memoryview, read_into: Callable[[memoryview], int]) -> int:
    """What comes quickly is taken together; how much it was: 0 at the end."""
    got, until = 0, time.monotonic() + QUICK_S
    while got < len(room) and (not got or time.monotonic() < until):
        read = read_into(room[got:])
        if not read:
            break
        got += read
    return got


@contextlib.contextmanager
def hanging_up() -> Iterator[None]:
    """When what is inside fails, the connection is closed after the answer: the rest is not waited for."""
    try:
        yield
    except Exception:
        after_this_request(_last_answer)
        raise


def _last_answer(response: Response) -> Response:
    connection = request.environ.get("gunicorn.socket")
    response.headers["Connection"] = "close"
    force_close = request.environ.get(FORCE_CLOSE)
    if force_close is not None:
        force_close()
    if connection is not None:
        response.call_on_close(lambda: linger(connection))
    return response


def linger(connection: socket.socket) -> None:
    """Take what still comes, for a moment: the answer is lost to a client that is cut off while it sends."""
    until, room = time.monotonic() + LINGER_S, bytearray(AT_ONCE)
    with contextlib.suppress(OSError):  # it has hung up
        connection.shutdown(socket.SHUT_WR)
        while (left := until - time.monotonic()) > 0:
            connection.settimeout(left)
            if not connection.recv_into(room):
                return
