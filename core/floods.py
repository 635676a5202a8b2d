"""Floods: what is sent faster than it is read. gevent lets others run where a read waits; none of it does.

So whoever sends it rests, and all of a process share one part of its time, however many they are.
"""

from __future__ import annotations

import time

TURN_S = 0.002
"""Who has run for so long gives way."""
REST = 4
"""Floods get one part of a process's time in so many, all together: each rests so much longer than it ran,
when the others have rested."""


class Floods:
    """When the next one may go on. Of a turn `most_s` count at most."""

    def __init__(self, most_s: float) -> None:
        self._most_s = most_s
        self._free_at = 0.0

    def rest(self, ran: float) -> float:
        """How long one rests that ran for so long; seconds."""
        now = time.monotonic()
        self._free_at = max(self._free_at, now) + REST * min(ran, self._most_s)
        return self._free_at - now
