"""Watches the embedded MongoDB-compatible server, and ends one that refuses everything: it is started again.

Where its disk was full for a moment its storage engine gives up; the server lives on, and answers everything
with an error. That is no reason for a supervisor to start it again, and it never recovers.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pymongo
import structlog
from pymongo.database import Database
from pymongo.errors import OperationFailure, PyMongoError

from core.embedded import parent

LOOKED_S = 5.0
REFUSALS = 3
ANSWERS_WITHIN_S = 1.0

log = structlog.get_logger(__name__)


class Refusing:
    """Looks whenever it is asked to, at most each `LOOKED_S`. `end()` ends the server."""

    def __init__(
        self, look: Callable[[], None], end: Callable[[], None], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._look = look
        self._end = end
        self._now = now
        self._looked = now()
        self._refused = 0

    def look(self) -> None:
        """Ask, and end it when it has refused so often without an answer in between."""
        if self._now() - self._looked < LOOKED_S:
            return
        self._looked = self._now()
        try:
            self._look()
        except OperationFailure as error:
            self._refused += 1
            log.error("mongodb.refuses", code=error.code, times=self._refused)
        except PyMongoError:
            return  # one that is away is started again, and one that is busy tells later
        else:
            self._refused = 0
        if self._refused >= REFUSALS:
            self._refused = 0
            self._end()


def asking(db: Database[dict[str, object]]) -> Callable[[], None]:
    """Reads a document, as each request does: a ping is answered whatever has become of the storage."""

    def read() -> None:
        with pymongo.timeout(ANSWERS_WITHIN_S):
            db.scheduler.find_one({}, {"_id": 1})

    return read


def ending(supervisor: int, program: str) -> Callable[[], None]:
    """Kills the child of this process that runs this program. Does nothing but on Linux."""

    def end() -> None:
        for pid in parent.children(supervisor):
            if program in parent.command(pid):
                log.error("mongodb.ended", pid=pid, why="it refuses everything; is the disk full?")
                os.kill(pid, signal.SIGKILL)

    return end
