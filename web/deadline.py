"""A deadline around reading request bodies: gunicorn itself waits for a slow one without end."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

import gevent
from gunicorn.http.errors import NoMoreData, ParseException

from core.errors import Invalid
from web import straight
from web.connection import Connection

SLOWEST_BYTES_PER_S = 32 * 1024
PIECE = 64 * 1024
FORCE_CLOSE = "vutler.force_close"

T = TypeVar("T", bytes, int)
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class BodyDeadline:
    """A WSGI middleware: a body has `seconds`, and more only as it comes at a sensible pace."""

    def __init__(self, app: Wsgi, seconds: float) -> None:
        self.app = app
        self.seconds = seconds

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        connection = environ.get("gunicorn.socket")
        if isinstance(connection, Connection):
            connection.asked()
        environ["wsgi.input"] = TimedInput(environ["wsgi.input"], self.seconds, connection)
        # gunicorn takes no `Connection: close` from an application: it has to be asked.
        environ[FORCE_CLOSE] = getattr(getattr(start_response, "__self__", None), "force_close", None)
        return self.app(environ, start_response)


class TimedInput:
    """A body that raises `Invalid` (408) when it comes too slowly. Waits in gevent's loop."""

    def __init__(self, body: Any, seconds: float, connection: socket.socket | None) -> None:
        self.body = body
        self.seconds = seconds
        self.connection = connection
        self._got = 0
        self._waited = 0.0

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and 0 <= size <= PIECE:
            data: bytes = self._timed(lambda: self.body.read(size))
            return data
        pieces: list[bytes] = []
        left = None if size is None or size < 0 else size
        while left is None or left > 0:
            piece = self._timed(partial(self.body.read, min(PIECE, left or PIECE)))
            if not piece:
                break
            pieces.append(piece)
            left = None if left is None else left - len(piece)
        return b"".join(pieces)

    def into(self, view: memoryview) -> int:
        """What is there, or comes first: for whoever has memory of its own for it. 0: that was all.

        Not `readinto`: werkzeug would read each body by it, with a slice of a `bytearray`, which is a copy.
        """
        return self._timed(lambda: straight.into(self.body, self.connection, view))

    def readline(self, size: int | None = None) -> bytes:
        line: bytes = self._timed(
            lambda: self.body.readline(size) if size is not None else self.body.readline()
        )
        return line

    def readlines(self, hint: int | None = None) -> list[bytes]:
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def _timed(self, read: Callable[[], T]) -> T:
        left = self.seconds + self._got / SLOWEST_BYTES_PER_S - self._waited
        began = time.monotonic()
        unpacking = self.connection if isinstance(self.connection, Connection) else None
        if unpacking is not None:
            unpacking.unpacks()
        try:
            with gevent.Timeout(max(left, 0.001), TooSlow):
                data = read()
        except (ParseException, NoMoreData):
            self._hang_up()  # where the next request would begin is not known any more
            raise Invalid("the body is not framed as its headers say", code="malformed") from None
        except (TooSlow, OSError):  # the client has hung up, or was hung up on
            self._hang_up()
            raise Invalid("the body came too slowly", code="body_too_slow") from None
        self._waited += time.monotonic() - began
        size = data if isinstance(data, int) else len(data)
        self._got += size
        if unpacking is not None:
            unpacking.unpacked(size)
        return data

    def _hang_up(self) -> None:
        """Read nothing more: the server would wait for the rest before it looks for the next request."""
        if self.connection is not None:
            with contextlib.suppress(OSError):  # the client has hung up first
                self.connection.shutdown(socket.SHUT_RD)


def hurry(environ: dict[str, Any], seconds: float) -> None:
    """Let the body of this request have so much time at most."""
    body = environ["wsgi.input"]
    if isinstance(body, TimedInput):
        body.seconds = min(body.seconds, seconds)


class TooSlow(Exception):
    """The body's time is over."""
