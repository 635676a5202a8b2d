"""Documents that each request reads, remembered for a moment by a process that is told when they change."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

T = TypeVar("T")

KEPT_S = 1.0
MOST = 2000
SHARED_S = 0.1
"""What another reads just now is waited for so long. Of chats at 16 connections every third read the same key
in a worker that is to read it ten times a second, now every ninth (2026-11)."""
NEVER = (float("-inf"), None)


class Remembered:
    """Forgets after `kept_s`, in case nobody told, and everything at once when told.

    What it gives is shared: whoever reads it must not change it.
    """

    def __init__(self, *, kept_s: float = KEPT_S, now: Callable[[], float] = time.monotonic) -> None:
        self.kept_s = kept_s
        self.now = now
        self._kept: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()
        self._reading: dict[Hashable, threading.Event] = {}
        self._told = 0

    def get(self, name: Hashable, read: Callable[[], T]) -> T:
        """What is remembered by this name, or what `read` gives. None is not remembered."""
        until, value = self._kept.get(name, NEVER)
        if self.now() < until:
            return cast(T, value)
        if (read_just_now := self._reading.get(name)) is not None:
            read_just_now.wait(SHARED_S)
            until, value = self._kept.get(name, NEVER)
            if self.now() < until:
                return cast(T, value)
        return self._read(name, read)

    def forget(self) -> None:
        """Something has changed."""
        self._told += 1
        self._kept.clear()

    def _read(self, name: Hashable, read: Callable[[], T]) -> T:
        began, told = self.now(), self._told
        over = self._reading[name] = threading.Event()
        try:
            found = read()
            # Told while it was read: what was found may be what has changed.
            if found is not None and told == self._told:
                self._keep(name, began + self.kept_s, found)
            return found
        finally:
            if self._reading.get(name) is over:
                del self._reading[name]
            over.set()

    def _keep(self, name: Hashable, until: float, value: Any) -> None:
        self._kept.pop(name, None)
        self._kept[name] = (until, value)
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)
