"""Has the client of a request closed its connection? Seen on the socket, where gunicorn shows it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any


def gone(environ: dict[str, Any]) -> Callable[[], bool]:
    """Tells, whenever it is called, whether the client has gone."""
    client = environ.get("gunicorn.socket")
    if client is None:
        return lambda: False
    raw = getattr(client, "_sock", client)  # gevent's socket would wait for a byte

    def look() -> bool:
        try:
            return bool(raw.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"")
        except BlockingIOError:
            return False
        except OSError:
            return True

    return look
