"""The heartbeat: renews this process's lease from a real OS thread.

The thread is outside of gevent, since a provider that hangs, or an event loop that computes, must not look
like a dead worker. An event loop that stands still is as good as dead, so this is watched too: the job that
it stands still over is failed, the others are taken up at once.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from gevent import monkey
from pymongo.database import Database
from pymongo.errors import PyMongoError

from core.config import Settings
from core.jobs import lease, suspect
from core.services import connect_mongo

LOOP_STUCK_S = 30.0
RETRY_S = 1.0
CRASHED = 70
"""The exit code: EX_SOFTWARE of sysexits.h."""

log = structlog.get_logger(__name__)

_start_thread = monkey.get_original("_thread", "start_new_thread")
_this_thread = monkey.get_original("_thread", "get_ident")
_sleep = monkey.get_original("time", "sleep")


class Heartbeat:
    """Beats until stopped. Once this process was declared dead, `lost` is true and `on_lost` is called.

    `done()`: how many jobs ended in the last minute, and the ids of the last ones.
    """

    def __init__(
        self,
        settings: Settings,
        process_id: str,
        *,
        on_lost: Callable[[], None],
        done: Callable[[], tuple[int, list[str]]],
    ) -> None:
        self.settings = settings
        self.process_id = process_id
        self.on_lost = on_lost
        self.done = done
        self.lost = False
        self._done: tuple[int, list[str]] = (0, [])
        self._stopped = False
        self._loop_seen = time.monotonic()
        self._loop_thread = 0
        self._stood_still_at = 0.0
        self._renewed_at: tuple[float, float] | None = None

    def start(self) -> None:
        self._loop_thread = _this_thread()
        threading.Thread(target=self._show_that_the_loop_turns, daemon=True).start()  # a greenlet, if patched
        _start_thread(self._beat, ())

    def stop(self) -> None:
        self._stopped = True

    @property
    def fresh(self) -> bool:
        """Is it sure that this process was not declared dead? It may be, a lease after it was last renewed.

        Two clocks: the steady one stands still with a machine that sleeps.
        """
        if self._stopped or self.lost or self._renewed_at is None:
            return False
        return all(
            abs(now - at) < self.settings.lease_s / 2
            for now, at in zip(_clocks(), self._renewed_at, strict=True)
        )

    def _show_that_the_loop_turns(self) -> None:
        while not self._stopped:
            self._loop_seen = time.monotonic()
            self._done = self.done()  # read in this thread, where jobs end
            time.sleep(1)

    def _beat(self) -> None:
        """Whatever ends the beat ends the process: otherwise it would work on after it is declared dead."""
        try:
            self._renew_until_stopped()
        except Exception:
            if not self._stopped:
                log.exception("heartbeat.crashed")
                os._exit(CRASHED)

    def _renew_until_stopped(self) -> None:
        # A client of its own: this thread shares no sockets and no locks with greenlets.
        with connect_mongo(self.settings, patience_s=2) as mongo:
            db = mongo[self.settings.mongodb_database]
            while not self._stopped:
                pause = self.settings.beat_s
                try:
                    if not self._renew(db):
                        self.lost = True
                        log.error("process.lost_its_lease", process_id=self.process_id)
                        self.on_lost()
                        return
                except PyMongoError as error:
                    log.warning("lease.not_renewed", error=type(error).__name__)
                    pause = RETRY_S
                if self._stands_still():
                    self._give_up(db)
                self._pause(pause)

    def _renew(self, db: Database[dict[str, Any]]) -> bool:
        n, last = self._done
        before = _clocks()
        renewed = lease.renew(
            db, self.process_id, finished_last_minute=n, last_jobs=last, memory_bytes=_memory()
        )
        if renewed:
            self._renewed_at = before
        return renewed

    def _stands_still(self) -> bool:
        """Seen at two beats: a process that was stopped as a whole finds its loop late too, once."""
        before, self._stood_still_at = self._stood_still_at, 0.0
        if time.monotonic() - self._loop_seen > LOOP_STUCK_S:
            self._stood_still_at = self._loop_seen
        return self._stood_still_at > 0 and self._stood_still_at == before

    def _give_up(self, db: Database[dict[str, Any]]) -> None:
        log.error("process.loop_stuck", seconds=LOOP_STUCK_S)
        self._renewed_at = None  # before the lease ends: nothing takes a place after that
        try:
            suspect.condemn(db, sys._current_frames().get(self._loop_thread))
            lease.retire(db, self.process_id)
        except PyMongoError as error:  # a lease later its jobs are taken up all the same
            log.error("process.suspect_not_noted", error=type(error).__name__)
        os._exit(CRASHED)

    def _pause(self, seconds: float) -> None:
        """Sleep in short steps, so that a stop is seen soon."""
        until = time.monotonic() + seconds
        while not self._stopped and time.monotonic() < until:
            _sleep(0.2)


def _clocks() -> tuple[float, float]:
    return time.monotonic(), time.time()


def _memory() -> int | None:
    """Resident bytes of this process, as Linux tells them; None where there is no /proc."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else None
