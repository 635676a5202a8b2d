"""Reconcile: puts right what dead processes, lost messages and outages left behind. Run by the leader alone.

What makes up for lost messages must not depend on messages. So all of this reads MongoDB; Redis is asked
only how long a queue is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from importlib import import_module
from typing import Any

import structlog
from pymongo import UpdateOne
from pymongo.database import Database
from pymongo.errors import PyMongoError

from core.clock import utcnow
from core.errors import JobFailed
from core.jobs import kinds, lease
from core.jobs.accept import enqueue
from core.jobs.document import Job, jobs_of
from core.jobs.model import (
    CANCELLED,
    FAILED,
    FIRST_RESEND,
    QUEUED,
    RUNNING,
    ending,
    queued_again,
    resend_delay,
    runs_again,
)
from core.services import Send
from core.store.repeat import update_once

Document = dict[str, Any]

RESENT_A_TICK = 200
ISOLATED_FROM = 2
QUARANTINED_FROM = 3

log = structlog.get_logger(__name__)


class Reconciler:
    """Works in ticks. Between them it remembers only each process's beat, and since when it has stood still.

    `queue_length(queue)`: how many messages wait in Redis; raises `redis.RedisError` when Redis is away.
    `ended(job_id)`: wakes whoever watches a job.
    """

    def __init__(
        self,
        db: Database[Document],
        send: Send,
        *,
        queue_length: Callable[[str], int],
        ended: Callable[[str], None],
        lease_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.db = db
        self.send = send
        self.queue_length = queue_length
        self.ended = ended
        self.lease_s = lease_s
        self.monotonic = monotonic
        self._seen: dict[str, tuple[int, float]] = {}
        self._last_tick: float | None = None

    def tick(self) -> Document:
        """Put right what there is now. Returns how much was done, by name."""
        self._forget_after_a_break()
        try:
            declared = self._declare_dead()
            taken = self._take_up_orphans()
            self._last_tick = self.monotonic()
        except PyMongoError:
            self._seen.clear()
            raise
        return {"declared_dead": declared, "taken_up": taken, **self._see_to_overdue()}

    def _forget_after_a_break(self) -> None:
        """After an outage, or a pause of its own, it gives each process a whole lease to show itself."""
        if self._last_tick is None or self.monotonic() - self._last_tick > self.lease_s / 2:
            self._seen.clear()

    def _declare_dead(self) -> int:
        declared = 0
        now = self.monotonic()
        alive = {p["_id"]: p["beat"] for p in self.db.processes.find({"dead": False}, {"beat": 1})}
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
        living = [p["_id"] for p in self.db.processes.find({"dead": False}, {"_id": 1})]
        abandoned = {"status": RUNNING, "owner": {"$nin": living}}
        orphans = list(jobs_of(self.db).find(abandoned, {"request": 0}))  # a request may be megabytes
        if not orphans:
            return 0
        # A process may have registered, and claimed, between the two reads above.
        newborn = {
            owner
            for owner in {job["owner"] for job in orphans}
            if self.db.processes.find_one({"_id": owner, "dead": False}, {"_id": 1})
        }
        return sum(self._take_up(job) for job in orphans if job["owner"] not in newborn)

    def _take_up(self, job: Job) -> bool:
        lost = {"attempt": job["attempt"], "owner": job["owner"], "lost_at": utcnow()}
        update = self._after_loss(job, losses=len(job.get("lost", [])) + 1)
        update["$push"] = {"lost": lost}
        fence = job["fence"]
        done = update_once(
            self.db.jobs,
            {"_id": job["_id"], "status": RUNNING, "fence": fence, "attempt": job["attempt"]},
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
            error = JobFailed(f"{losses} workers were lost while they ran this job", code="quarantined")
            return ending(job, status=FAILED, now=utcnow(), error=error.as_dict())
        isolated = losses >= ISOLATED_FROM and kinds.row(job["kind"]).isolated
        queue = kinds.ISOLATION if isolated else job["queue"]
        return {"$set": {**queued_again(utcnow()), "queue": queue}}

    def _see_to_overdue(self) -> Document:
        """Jobs that nobody took: those of a host that is gone are placed anew, the others are sent again."""
        overdue: Document = {"status": QUEUED, "send_after": {"$lte": utcnow()}}
        if jobs_of(self.db).find_one(overdue, {"_id": 1}) is None:
            return {"placed_anew": 0, "resent": 0}
        queues = self.db.jobs.distinct("queue", overdue)
        served = {
            queue for p in self.db.processes.find({"dead": False}, {"queues": 1}) for queue in p["queues"]
        }
        deserted = [queue for queue in kinds.by_host(queues) if queue not in served]
        kept = [queue for queue in queues if queue not in deserted]
        return {"placed_anew": self._place(overdue, deserted), "resent": self._resend(overdue, kept)}

    def _place(self, overdue: Document, deserted: Collection[str]) -> int:
        """Jobs without a host, or whose host is gone, go to the host that their kind now chooses."""
        # By queue: jobs that only their own host can carry out must not keep others from being placed.
        waiting = [
            job
            for queue in deserted
            for job in jobs_of(self.db).find({**overdue, "queue": queue}, {"request": 0}).limit(RESENT_A_TICK)
        ]
        return sum(map(self._placed, waiting))

    def _placed(self, job: Job) -> bool:
        kind = kinds.row(job["kind"])
        host = import_module(kind.home).place(self.db, job)
        if host is None:
            return False
        queue = kind.queue_on(host)
        moved = self.db.jobs.update_one(
            {"_id": job["_id"], "status": QUEUED, "queue": job["queue"]},
            {"$set": {"queue": queue, "send_after": utcnow() + FIRST_RESEND, "sends": 1}},
        )
        if moved.matched_count:
            log.warning("job.placed_anew", job_id=job["_id"], queue=queue, before=job["queue"])
            enqueue(self.send, {**job, "queue": queue})
        return moved.matched_count == 1

    def _resend(self, overdue: Document, queues: Collection[str]) -> int:
        """Send queued jobs again whose message seems lost. None seems so while Redis holds one for each."""
        # By queue: the jobs of a long or paused queue must not keep a lost message of another one waiting.
        open_queues = [queue for queue in queues if not self._backlogged(queue)]
        if not open_queues:
            return 0
        lost = jobs_of(self.db).find({**overdue, "queue": {"$in": open_queues}}, {"queue": 1, "sends": 1})
        sent = []
        for job in lost.limit(RESENT_A_TICK):
            if not enqueue(self.send, job):
                break
            sent.append(job)
        if sent:
            self.db.jobs.bulk_write([_sent_again(job) for job in sent], ordered=False)
        return len(sent)

    def _backlogged(self, queue: str) -> bool:
        waiting = self.queue_length(queue)
        return waiting > 0 and waiting >= self.db.jobs.count_documents({"status": QUEUED, "queue": queue})


def _sent_again(job: Job) -> UpdateOne:
    return UpdateOne(
        {"_id": job["_id"], "status": QUEUED},
        {"$set": {"send_after": utcnow() + resend_delay(job["sends"])}, "$inc": {"sends": 1}},
    )
