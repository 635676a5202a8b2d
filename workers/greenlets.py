"""Work in greenlets: hundreds of provider calls wait in one process, and each can be ended by itself."""

from __future__ import annotations

from collections.abc import Callable

import gevent


class GreenletWork:
    """`core.jobs.run.Work` as a greenlet. It is killed wherever it waits, and closes its sockets."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._greenlet = gevent.spawn(function)

    def join(self, timeout_s: float) -> bool:
        self._greenlet.join(timeout_s)
        return bool(self._greenlet.ready())

    def kill(self) -> None:
        self._greenlet.kill(block=False)
