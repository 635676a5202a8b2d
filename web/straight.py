"""A body's bytes, from the socket into the reader's own memory: on gunicorn's way each is copied often."""

from __future__ import annotations

import socket
from typing import Any

from gunicorn.http.body import LengthReader


def into(body: Any, connection: socket.socket | None, view: memoryview) -> int:
    """Fill the beginning of `view` with what is there, or comes first; how much it was: 0 at the end.

    `body`: what gunicorn makes of a request. A body without a length is read in its way.
    """
    reader = getattr(body, "reader", None)
    if connection is None or not isinstance(reader, LengthReader) or body.buf.tell():
        return _copied(body.read(len(view)), view)
    most = min(len(view), reader.length)
    held = reader.unreader.buf.getbuffer().nbytes
    if held or not most:
        return _copied(reader.read(min(held, most)), view)
    try:
        got = connection.recv_into(view[:most])
    except Exception:
        body.failed = True  # where the next request begins is not known any more: gunicorn looks at this
        raise
    reader.length -= got
    return got


def _copied(data: bytes, view: memoryview) -> int:
    view[: len(data)] = data
    return len(data)
