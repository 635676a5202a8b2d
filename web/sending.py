"""A file on its way to a client, who has a minute for each piece: nobody holds a file open for ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.drive.storage import Reading

EACH_PIECE_S = 60.0


class Sending:
    """The body of an answer. `environ`: of the request; under gunicorn its socket is in it."""

    def __init__(self, reading: Reading, environ: dict[str, Any]) -> None:
        self._reading = reading
        self._connection = environ.get("gunicorn.socket")

    def __iter__(self) -> Iterator[bytes]:
        self._patience(EACH_PIECE_S)
        yield from self._reading

    def close(self) -> None:
        """The server calls it at the end, however that came."""
        self._patience(None)
        self._reading.close()

    def _patience(self, seconds: float | None) -> None:
        """Of each `sendall`; the next request on the connection has its own."""
        if self._connection is not None:
            self._connection.settimeout(seconds)
