"""Documents that each request reads, remembered for a moment by a process that is told when they change."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

T = TypeVar("T")

KEPT_S = 1.0
MOST = 2000


class Remembered:
    """Forgets after `kept_s`, in case nobody told, and everything at once when told.

    What it gives is shared: whoever reads it must not change it.
    """

    def __init__(self, *, kept_s: float = KEPT_S, now: Callable[[], float] = time.monotonic) -> None:
        self.kept_s = kept_s
        self.now = now
        self._kept: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()
        self._told = 0

    def get(self, name: Hashable, read: Callable[[], T]) -> T:
        """What is remembered by this name, or what `read` gives. None is not remembered."""
        until, value = self._kept.get(name, (float("-inf"), None))
        began, told = self.now(), self._told
        if began < until:
            return cast(T, value)
        found = read()
        # Told while it was read: what was found may be what has changed.
        if found is not None and told == self._told:
            self._keep(name, began + self.kept_s, found)
        return found

    def forget(self) -> None:
        """Something has changed."""
        self._told += 1
        self._kept.clear()

    def _keep(self, name: Hashable, until: float, value: Any) -> None:
        self._kept.pop(name, None)
        self._kept[name] = (until, value)
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)
