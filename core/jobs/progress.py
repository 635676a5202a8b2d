"""The progress of long work: told to whoever watches the job, and kept on it for whoever looks later."""

from __future__ import annotations

import time
from collections.abc import Callable

from core.jobs.events import Emitter
from core.jobs.model import RUNNING
from core.jobs.run import Run
from core.store.repeat import OUTAGE

TOLD_EVERY_S = 1.0


class Progress:
    """`add(n)` as often as one likes: it is told once a second. `unit`: what is counted, `total` of them."""

    def __init__(
        self, run: Run, unit: str, *, total: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.run = run
        self.unit = unit
        self.done = 0
        self.total = total
        self.monotonic = monotonic
        self._emitter = Emitter(run.services.redis, run.job["_id"], run.job["attempt"])
        self._told_at = monotonic()

    def add(self, n: int) -> None:
        """So much more is done; what is done again after a failure does not lead beyond the total."""
        self.done += n
        if self.monotonic() - self._told_at >= TOLD_EVERY_S:
            self._told_at = self.monotonic()
            self._tell({"done": min(self.done, self.total), "total": self.total, "unit": self.unit})

    def _tell(self, progress: dict[str, object]) -> None:
        """A store that is away is not waited for: the next one tells more."""
        self._emitter.emit("progress", progress)
        # The fence stays on a job that has ended, and a thread that was left alone may still be at it.
        mine = {"_id": self.run.job["_id"], "status": RUNNING, "fence": self.run.job["fence"]}
        try:
            self.run.services.db.jobs.update_one(mine, {"$set": {"progress": progress}})
        except OUTAGE:
            return
