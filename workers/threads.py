"""Work in threads, for what blocks on disks, hashes and processes. A thread can only be asked to end."""

from __future__ import annotations

import threading
from collections.abc import Callable

ASKED_S = 10.0


class ThreadWork:
    """`core.jobs.run.Work` as a thread. Its function waits for `Run.told_to_stop` instead of sleeping.

    A function that does not end within ten seconds after it was told to is left to itself: what it writes is
    filtered by its claim's fence.
    """

    def __init__(self, function: Callable[[], None]) -> None:
        self._over = threading.Event()
        self._function = function
        threading.Thread(target=self._run, daemon=True).start()

    def join(self, timeout_s: float) -> bool:
        return self._over.wait(timeout_s)

    def kill(self) -> None:
        patience = threading.Timer(ASKED_S, self._over.set)
        patience.daemon = True
        patience.start()

    def _run(self) -> None:
        try:
            self._function()
        finally:
            self._over.set()
