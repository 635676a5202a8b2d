"""The connections of a web process: those that wait for their clients make room for those that come."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import gevent
from greenlet import getcurrent

if TYPE_CHECKING:
    from web.connection import Connection

WAITING_SHARE = 2
"""Of its connections, one in so many may wait for its client; the rest are for those that ask something."""
FREE_SHARE = 8
"""Of its places, one in so many is kept free for those that come, as long as anybody waits."""


class Crowd:
    """`places`: how many connections there may be. All of it happens in one thread."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.open = 0
        self.waiting: dict[Waiting, None] = {}
        """In the order in which they began to wait."""

    def make_room(self) -> None:
        """Hang up on the connection that has waited longest, if there are too many."""
        too_many = len(self.waiting) >= self.places // WAITING_SHARE
        if self.waiting and (too_many or self.places - self.open < self.places // FREE_SHARE):
            next(iter(self.waiting)).end()


class Waiting:
    """Inside, a connection waits for its client: to say something, or to take what it is told."""

    __slots__ = ("_crowd", "_ending", "_greenlet", "connection")

    def __init__(self, crowd: Crowd, connection: Connection) -> None:
        self._crowd = crowd
        self._greenlet = getcurrent()
        self._ending: Any = None
        self.connection = connection

    def __enter__(self) -> None:
        self._crowd.make_room()
        self._crowd.waiting[self] = None

    def __exit__(self, *raised: object) -> None:
        self._crowd.waiting.pop(self, None)
        if self._ending is not None:  # what it waited for has come first
            self._ending.stop()

    def end(self) -> None:
        """End it now: it raises `ConnectionResetError`, as if the client had hung up."""
        self._crowd.waiting.pop(self, None)
        error = ConnectionResetError(errno.ECONNRESET, "hung up on")
        self._ending = gevent.get_hub().loop.run_callback(self._greenlet.throw, error)
