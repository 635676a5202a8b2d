"""Clients that go away: seen on their socket, where gunicorn shows it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

STUCK_S = 60.0


def hang_up_when_stuck(environ: dict[str, Any], seconds: float = STUCK_S) -> None:
    """Let the system close the connection of a client that takes nothing of what is sent to it.

    What it does not read waits in Redis, not here; but its connection and its greenlet would stay for good.
    """
    client, option = environ.get("gunicorn.socket"), getattr(socket, "TCP_USER_TIMEOUT", None)
    if client is not None and option is not None:  # Linux has it
        client.setsockopt(socket.IPPROTO_TCP, option, int(seconds * 1000))


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
