"""Work that holds the event loop for long: of each workspace one piece at a time, and then it rests.

What is large goes on to be work for others: the store, Redis, the provider. So its bytes count, too.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

LIGHT = 64 * 1024
"""Bytes of JSON that are read and parsed at once: it takes less than a few milliseconds."""
REST = 4
"""A workspace's pieces get one part of a process's time in so many and one more, however many there are."""
BYTES_PER_S = 10_000_000
"""So many of a workspace at most."""


@dataclass
class _Turn:
    lock: threading.Lock = field(default_factory=threading.Lock)
    free_at: float = 0.0

    def idle(self) -> bool:
        return not self.lock.locked() and self.free_at < time.monotonic()


class Heavy:
    """The turns of a process."""

    def __init__(self) -> None:
        self._turns: dict[str, _Turn] = {}

    @contextmanager
    def turn(self, whose: str, size: int = 0, within_s: float = math.inf) -> Iterator[None]:
        """Inside, this workspace does nothing else that is heavy. `size`: bytes. Raises `TimeoutError`."""
        turn = self._of(whose)
        if not turn.lock.acquire(timeout=min(within_s, threading.TIMEOUT_MAX)):
            raise TimeoutError
        try:
            time.sleep(max(0.0, turn.free_at - time.monotonic()))
            began = time.thread_time()
            try:
                yield
            finally:
                rest = max(REST * (time.thread_time() - began), size / BYTES_PER_S)
                turn.free_at = time.monotonic() + rest
        finally:
            turn.lock.release()

    def _of(self, whose: str) -> _Turn:
        """Its turn; those that nobody waits for are forgotten."""
        self._turns = {name: turn for name, turn in self._turns.items() if name == whose or not turn.idle()}
        return self._turns.setdefault(whose, _Turn())
