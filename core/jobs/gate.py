"""A gate: some at once are inside, and the next is of the workspace that has the fewest there.

Of those that have as few, the one that was let in longest ago.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """`places`: how many are inside at once. For threads, and for greenlets in a patched process."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._inside: Counter[str] = Counter()
        self._waiting: dict[str, deque[threading.Event]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def place(self, workspace_id: str) -> Iterator[None]:
        """Inside, it has one of the places; it waits for it."""
        self._enter(workspace_id)
        try:
            yield
        finally:
            self._leave(workspace_id)

    def _enter(self, workspace_id: str) -> None:
        with self._lock:
            if self._free:
                self._take(workspace_id)
                return
            turn = threading.Event()
            self._waiting.setdefault(workspace_id, deque()).append(turn)
        try:
            turn.wait()
        except BaseException:  # this thread is ended: the place that it was given is somebody else's
            with self._lock:
                given = turn.is_set()
                if not given:
                    self._waiting[workspace_id].remove(turn)
                    if not self._waiting[workspace_id]:
                        del self._waiting[workspace_id]
            if given:
                self._leave(workspace_id)
            raise

    def _leave(self, workspace_id: str) -> None:
        with self._lock:
            self._free += 1
            self._inside -= Counter({workspace_id: 1})
            if self._waiting:
                following = min(self._waiting, key=lambda one: self._inside[one])
                turns = self._waiting.pop(following)
                turn = turns.popleft()
                if turns:
                    self._waiting[following] = turns  # behind the others
                self._take(following)
                turn.set()

    def _take(self, workspace_id: str) -> None:
        self._free -= 1
        self._inside[workspace_id] += 1
