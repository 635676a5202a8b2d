"""Streams of events: how many one key holds open at a time in this process, and no more than that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from flask import Response, current_app

from core.errors import RateLimited
from web.context import STREAMS, caller

MOST = 256
"""Of the connections of a web process (2,000, in the Procfile) one key may hold so many for hours."""


class Streams:
    """Counts what is open, by key. All of it happens in one thread."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.open: Counter[str] = Counter()

    def take(self, key_id: str) -> Callable[[], None]:
        """One more; call what is returned when it has ended. Raises `RateLimited`."""
        if self.open[key_id] >= self.most:
            raise RateLimited(f"this key has {self.most} streams of events open; close some", retry_after=5)
        self.open[key_id] += 1
        left = [1]

        def end() -> None:
            self.open[key_id] -= left[0]
            left[0] = 0
            if not self.open[key_id]:
                del self.open[key_id]

        return end


def take() -> Callable[[], None]:
    """One more stream of this request's key; call what is returned when it has ended."""
    streams: Streams = current_app.extensions[STREAMS]
    return streams.take(caller().key_id)


def counted(response: Response) -> Response:
    """Count this response as a stream of its key, until it has been sent or its client has gone."""
    response.call_on_close(take())
    return response
