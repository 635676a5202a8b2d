"""A client's connection: whoever sends what takes long to unpack gives way to others while it is read."""

from __future__ import annotations

import time
from typing import Any

import gevent
from gevent import socket as sockets

from core.floods import TURN_S, Floods
from web.crowd import Crowd, Waiting
from web.turns import others_first

WORTH = 10_000_000
"""So many bytes of a body may cost a second of the processor to unpack. In chunks of a byte they cost forty
seconds, in chunks of 64 half of one, with a length a twentieth (gunicorn 27.0, 2026-11)."""
MOST_S = 0.1
"""What counts of a turn at most, when the machine lets this process wait."""

_floods = Floods(MOST_S)


class Connection(sockets.socket):
    """Others get their turn at each read: gevent gives it where one waits, and no flood does.

    What runs between two reads unpacks what was read: chunks, headers, trailers, frames. What that costs
    beyond what the body is worth is followed by a rest. It is the processor's time that tells a flood, and
    the time that passed that others get back: on a busy machine it is much longer.
    """

    __slots__ = ("_cost", "_crowd", "_ran", "_since", "asks")

    def __init__(self, crowd: Crowd, **more: Any) -> None:
        super().__init__(**more)
        self._crowd = crowd
        self.asks = False
        """Is a request of it in progress?"""
        self._cost = self._ran = 0.0
        self._since: tuple[float, float] | None = None

    def recv(self, *args: Any) -> bytes:
        self._count()
        self._give_way()
        found: bytes = super().recv(*args)
        self.unpacks()
        return found

    def recv_into(self, *args: Any) -> int:
        """Straight into the reader's memory, where nothing is to be unpacked."""
        self._count()
        self._give_way()
        got: int = super().recv_into(*args)
        return got

    def _wait(self, watcher: Any, *error: Any) -> None:
        """As gevent's own, which each read and each write calls that cannot go on."""
        with Waiting(self._crowd, self):
            super()._wait(watcher, *error)  # type: ignore[misc] # its stubs leave it out

    def asked(self) -> None:
        """A request's head has come: what runs now is its work, until more of it is read."""
        self._cost, self._ran, self._since = 0.0, 0.0, None

    def unpacks(self) -> None:
        """What runs now takes the next bytes of a body."""
        self._since = time.thread_time(), time.monotonic()

    def unpacked(self, size: int) -> None:
        """They were so many; what runs now is something else."""
        self._count()
        self._cost = max(0.0, self._cost - size / WORTH)
        self._ran = self._ran if self._cost else 0.0

    def _count(self) -> None:
        if self._since is not None:
            self._cost += time.thread_time() - self._since[0]
            self._ran += time.monotonic() - self._since[1]
        self._since = None

    def _give_way(self) -> None:
        if self._cost <= TURN_S:
            others_first()
            return
        ran, self._cost, self._ran = self._ran, 0.0, 0.0
        gevent.sleep(_floods.rest(ran))
