"""Reconcile: puts right what dead processes and outages left behind. Run by the leader alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import structlog
from pymongo.database import Database
from pymongo.errors import PyMongoError

from core.clock import utcnow
from core.errors import JobFailed
from core.jobs import kinds, lease
from core.jobs.accept import enqueue
from core.jobs.document import Job, jobs_of
from core.jobs.isolation import QUARANTINED
from core.jobs.model import (
    CANCELLED,
    FAILED,
    QUEUED,
    RUNNING,
    ending,
    queued_again,
    runs_again,
)
from core.jobs.overdue import Overdue
from core.services import Send
from core.store import aside
from core.store.repeat import update_once

Document = dict[str, Any]

ISOLATED_FROM = 2
QUARANTINED_FROM = 3
LOOKED_S = 10.0
"""So long nothing is looked for where nothing was lost and everybody lives on. A look reads all that run: it
took the embedded server 126 ms while 2,000 calls began (2026-11)."""

log = structlog.get_logger(__name__)


class Reconciler:
    """Works in ticks. Between them it remembers only each process's beat, and since when it has stood still,
    and with whom alive nothing was lost.

    `ended(job_id)`: wakes whoever watches a job.
    """

    def __init__(
        self,
        db: Database[Document],
        send: Send,
        *,
        ended: Callable[[str], None],
        lease_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.db = db
        self.send = send
        self.overdue = Overdue(db, send)
        self.ended = ended
        self.lease_s = lease_s
        self.monotonic = monotonic
        self._seen: dict[str, tuple[int, float]] = {}
        self._last_tick: float | None = None
        self._complete: tuple[frozenset[str], float] | None = None

    def tick(self) -> Document:
        """Put right what there is now. Returns how much was done, by name."""
        self._forget_after_a_break()
        try:
            declared = self._declare_dead()
            taken = self._take_up_orphans()
            self._last_tick = self.monotonic()
        except PyMongoError:
            self._seen.clear()
            self._complete = None
            raise
        return {"declared_dead": declared, "taken_up": taken, **self.overdue.tick()}

    def _forget_after_a_break(self) -> None:
        """After an outage, or a pause of its own, it gives each process a whole lease to show itself."""
        if self._last_tick is None or self.monotonic() - self._last_tick > self.lease_s / 2:
            self._seen.clear()

    def _declare_dead(self) -> int:
        declared = 0
        now = self.monotonic()
        alive = {p["_id"]: p.get("beat", 0) for p in self.db.processes.find({"dead": False}, {"beat": 1})}
        self._seen = {pid: seen for pid, seen in self._seen.items() if pid in alive}
        for process_id, beat in alive.items():
            last_beat, since = self._seen.get(process_id, (None, now))
            if beat != last_beat:
                self._seen[process_id] = (beat, now)
            elif now - since > self.lease_s and lease.declare_dead(self.db, process_id, beat):
                declared += 1
                log.warning("process.declared_dead", process_id=process_id)
        return declared

    def _take_up_orphans(self) -> int:
        """Jobs whose owner does not live go back to the queue, or end."""
        living = frozenset(p["_id"] for p in self.db.processes.find({"dead": False}, {"_id": 1}))
        now, complete = self.monotonic(), self._complete
        if complete is not None and complete[0] == living and now - complete[1] < LOOKED_S:
            return 0
        abandoned = {"status": RUNNING, "owner": {"$nin": list(living)}}
        orphans = list(jobs_of(self.db).find(abandoned, {"request": 0}))  # a request may be megabytes
        self._complete = None if orphans else (living, now)
        if not orphans:
            return 0
        # A process may have registered, and claimed, between the two reads above.
        owners = {owner for job in orphans if isinstance(owner := job.get("owner"), str)}
        newborn = [
            owner for owner in owners if self.db.processes.find_one({"_id": owner, "dead": False}, {"_id": 1})
        ]
        orphans = [job for job in orphans if job.get("owner") not in newborn]
        return sum(aside.each(self.db, "reconcile", orphans, self._take_up))

    def _take_up(self, job: Job) -> bool:
        lost = {"attempt": job["attempt"], "owner": job["owner"], "lost_at": utcnow()}
        update = self._after_loss(job, losses=len(job.get("lost", [])) + 1)
        update["$push"] = {"lost": lost}
        fence = job["fence"]
        as_seen = {"_id": job["_id"], "status": RUNNING, "cancel_requested": job["cancel_requested"]}
        done = update_once(
            self.db.jobs,
            as_seen | {"fence": fence, "attempt": job["attempt"]},
            update,
            was_mine=lambda found: any(x["attempt"] == job["attempt"] for x in found.get("lost", [])),
        )
        if not done:
            return False
        changed = update["$set"]
        log.warning("job.owner_lost", job_id=job["_id"], owner=job["owner"], status=changed["status"])
        if changed["status"] == QUEUED:
            enqueue(self.send, {**job, **changed})
        else:
            self.ended(job["_id"])
        return True

    def _after_loss(self, job: Job, *, losses: int) -> Document:
        if job["cancel_requested"]:
            return ending(job, status=CANCELLED, now=utcnow())
        if not runs_again(job, calls=None):
            error = JobFailed("its worker was lost; its agent says not to run it again", code="worker_lost")
            return ending(job, status=FAILED, now=utcnow(), error=error.as_dict())
        if losses >= QUARANTINED_FROM:
            error = JobFailed(f"{losses} workers were lost while they ran this job", code=QUARANTINED)
            return ending(job, status=FAILED, now=utcnow(), error=error.as_dict())
        isolated = losses >= ISOLATED_FROM and kinds.row(job["kind"]).isolated
        queue = kinds.ISOLATION if isolated else job["queue"]
        return {"$set": {**queued_again(utcnow()), "queue": queue}}
