"""A loop: the same work again and again in a thread of its own, whatever one round of it raises."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

CLOSED_WITHIN_S = 5.0

log = structlog.get_logger(__name__)


class Loop:
    """Rounds, `pause_s` apart, from `start` to `close`. A round that lasts looks at `closed`.

    What a round raises is written down, and the next one comes: nobody else does its work. `away`: what it
    raises when a store is away, which says all in a line.
    """

    def __init__(
        self, name: str, work: Callable[[], object], pause_s: float, *, away: tuple[type[Exception], ...] = ()
    ) -> None:
        self.name = name
        self.work = work
        self.pause_s = pause_s
        self.away = away
        self.closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Begin no further round. One that lasts is waited for, for some seconds."""
        self.closed.set()
        if self._thread.is_alive():
            self._thread.join(CLOSED_WITHIN_S)

    def _run(self) -> None:
        while not self.closed.is_set():
            try:
                self.work()
            except self.away as error:
                log.warning("loop.store_away", loop=self.name, error=type(error).__name__)
            except Exception:
                log.exception("loop.failed", loop=self.name)
            self.closed.wait(self.pause_s)
