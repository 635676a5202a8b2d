"""Streams of events: how many one key holds open at a time in this process, and no more than that.

They end when the process is to end, and go on at another one: they would wait for what happens next until its
grace is over.
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable
from typing import Any

import gevent
from flask import Response, current_app
from greenlet import getcurrent

from core.errors import RateLimited
from web.context import STREAMS, caller

MOST = 256
"""Of the connections of a web process (2,000, in the Procfile) one key may hold so many for hours."""


class Streams:
    """Counts what is open, by key. All of it happens in one thread."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.open: Counter[str] = Counter()
        self._greenlets: dict[object, Any] = {}

    def take(self, key_id: str) -> Callable[[], None]:
        """One more; call what is returned when it has ended. Raises `RateLimited`."""
        if self.open[key_id] >= self.most:
            raise RateLimited(f"this key has {self.most} streams of events open; close some", retry_after=5)
        self.open[key_id] += 1
        this = object()
        self._greenlets[this] = getcurrent()

        def end() -> None:
            if self._greenlets.pop(this, None) is None:
                return
            self.open[key_id] -= 1
            if not self.open[key_id]:
                del self.open[key_id]

        return end

    def hang_up(self) -> None:
        """End them all: each raises `ConnectionResetError`, as if its client had hung up."""
        for greenlet in self._greenlets.values():
            error = ConnectionResetError(errno.ECONNRESET, "hung up on")
            gevent.get_hub().loop.run_callback(greenlet.throw, error)


def take() -> Callable[[], None]:
    """One more stream of this request's key; call what is returned when it has ended."""
    streams: Streams = current_app.extensions[STREAMS]
    return streams.take(caller().key_id)


def counted(response: Response) -> Response:
    """Count this response as a stream of its key, until it has been sent or its client has gone."""
    response.call_on_close(take())
    return response
