"""Work in threads, for work that hashes, writes to disk or starts processes."""

from __future__ import annotations

import threading
from collections.abc import Callable

ASKED_S = 10.0


class ThreadWork:
    """`core.jobs.run.Work` as a thread. A thread cannot be ended from outside, only asked to end.

    So a handler waits for `Run.told_to_stop` instead of sleeping, and looks at it between its steps. One that
    goes on for ten seconds after it was asked is left alone. So whatever a handler writes to its job must be
    filtered by the fence of its claim and by `running`.
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
