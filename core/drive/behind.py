"""Work that is done behind whoever hands it over: so much of it at a time, begun in its order."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable

from core.errors import Problem
from core.services import Beside


class Behind:
    """`most`: how many pieces of work are under way at once; whoever brings one more waits."""

    def __init__(self, beside: Beside, most: int) -> None:
        self._beside = beside
        self._most = most
        self._open: deque[Callable[[], None]] = deque()

    def do(self, work: Callable[[], None]) -> None:
        """Raises what earlier work raised."""
        while len(self._open) >= self._most:
            self._open.popleft()()
        self._open.append(self._beside(work))

    def done(self) -> None:
        """Wait for all of it. Raises what the first that failed raised."""
        while self._open:
            self._open.popleft()()

    def given_up(self) -> None:
        """Wait until nothing is under way; what becomes of it does not matter."""
        while self._open:
            with contextlib.suppress(Problem):
                self._open.popleft()()
