"""A file on its way to a client, who has a minute for each piece: nobody holds a file open for ever."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from gevent.socket import wait_write

from core.drive.storage import Reading
from web.turns import others_first

EACH_PIECE_S = 60.0


class Sending:
    """The body of an answer. `environ`: of the request; under gunicorn its socket is in it."""

    def __init__(self, reading: Reading, environ: dict[str, Any]) -> None:
        self._reading = reading
        self._connection = environ.get("gunicorn.socket")

    def __iter__(self) -> Iterator[bytes]:
        """The pieces. Those that the system sends by itself are none: only what the server sends first, the
        headers, is asked for."""
        self._patience(EACH_PIECE_S)
        if self._connection is None or self._reading.sent_to is None:
            for piece in self._reading:
                yield piece
                others_first()  # a bucket and a client that are both fast make nobody wait
        else:
            yield b""
            self._by_the_system(self._connection.fileno(), self._reading.sent_to)

    def _by_the_system(self, client: int, send: Callable[[int], int]) -> None:
        sent = 1
        while sent:
            wait_write(client, EACH_PIECE_S)
            with contextlib.suppress(BlockingIOError):
                sent = send(client)

    def close(self) -> None:
        """The server calls it at the end, however that came."""
        self._patience(None)
        self._reading.close()

    def _patience(self, seconds: float | None) -> None:
        """Of each `sendall`; the next request on the connection has its own."""
        if self._connection is not None:
            self._connection.settimeout(seconds)
