"""Overdue: queued jobs that nobody took in time. They are sent again, or placed on another host.

What makes up for lost messages must not depend on messages, so this reads documents alone. A lane takes an id
once: nobody has to know which were lost. Run by the leader.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from importlib import import_module
from itertools import chain, islice, zip_longest
from typing import Any

import structlog
from pymongo.database import Database

from core.clock import utcnow
from core.jobs import kinds, lease
from core.jobs.accept import enqueue
from core.jobs.document import Job, jobs_of
from core.jobs.lanes import NEEDED
from core.jobs.model import FIRST_RESEND, QUEUED
from core.services import Send
from core.store import aside
from core.store.walk import Walk

Document = dict[str, Any]

PLACED, SENT = "placed", "sent"
A_TICK = 500
A_PASS = 20_000
SHOWN = dict.fromkeys((*NEEDED, "send_after"), 1)
LATEST_RESEND = timedelta(minutes=10)
"""No clock that is right sets a time to send again so far ahead."""

log = structlog.get_logger(__name__)


class Overdue:
    """Passes over the overdue jobs, some in each tick; between ticks it remembers which of them are left."""

    def __init__(self, db: Database[Document], send: Send) -> None:
        self.db = db
        self.send = send
        self._left: list[Job] = []
        self._before: datetime | None = None
        self._edge: datetime | None = None
        self._away = False

    def tick(self) -> Document:
        """See to some of them. Returns how many were sent, and placed anew."""
        now, self._left = (self._left or self._read())[:A_TICK], self._left[A_TICK:]
        queues = {queue for job in now if isinstance(queue := job.get("queue"), str)}
        deserted = self._deserted(queues) if queues else frozenset()
        self._away = False
        done = Counter(aside.each(self.db, "reconcile", now, lambda job: self._see_to(job, deserted)))
        return {"placed_anew": done[PLACED], "resent": done[SENT]}

    def _see_to(self, job: Job, deserted: Collection[str]) -> str | None:
        """What was done about it, if anything."""
        if job["queue"] in deserted:
            return PLACED if self._placed(job["_id"]) else None
        # Redis is away: the next pass comes to those that are left.
        self._away = self._away or not enqueue(self.send, job)
        return None if self._away else SENT

    def _read(self) -> list[Job]:
        """The overdue jobs, the latest `A_PASS`: those of an earlier time come with the next pass.

        Where the last pass has found many they are read window by window; most find few, at one look.
        """
        self._bring_back()
        walk = Walk(jobs_of(self.db), {"status": QUEUED}, SHOWN, A_TICK, by="send_after", then=())
        upper = self._before or utcnow()
        rows = walk.whole(upper) if self._edge is None else walk.back(upper, edge=self._edge)
        found = list(islice(rows, A_PASS))
        self._edge = found[0]["send_after"] if len(found) > A_TICK else None
        self._before = found[-1]["send_after"] if len(found) == A_PASS else None
        self._left = list(in_turn(found[::-1]))
        return self._left

    def _bring_back(self) -> None:
        """Jobs that a clock which was ahead would have sent again in hours or days."""
        later = {"status": QUEUED, "send_after": {"$gt": utcnow() + LATEST_RESEND}}
        self.db.jobs.update_many(later, {"$set": {"send_after": utcnow()}})

    def _deserted(self, queues: Iterable[str]) -> frozenset[str]:
        """Those by host that no living process takes from."""
        return frozenset(kinds.by_host(queues)) - lease.served(self.db)

    def _placed(self, job_id: str) -> bool:
        """A job without a host, or whose host is gone, goes to the host that its kind now chooses."""
        job = jobs_of(self.db).find_one({"_id": job_id}, {"request": 0})  # which may be megabytes
        kind = kinds.row(job["kind"]) if job is not None and job["status"] == QUEUED else None
        if job is None or kind is None:
            return False
        host = import_module(kind.home).place(self.db, job)
        if host is None:
            return False
        queue = kind.queue_on(host)
        moved = self.db.jobs.update_one(
            {"_id": job["_id"], "status": QUEUED, "queue": job["queue"]},
            {"$set": {"queue": queue, "send_after": utcnow() + FIRST_RESEND}},
        )
        if moved.matched_count:
            log.warning("job.placed_anew", job_id=job["_id"], queue=queue, before=job["queue"])
            enqueue(self.send, {**job, "queue": queue})
        return moved.matched_count == 1


def in_turn(jobs: Sequence[Job]) -> Iterator[Job]:
    """The oldest of each workspace, then the second of each, and so on: nobody waits for a neighbour's."""
    whose: defaultdict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        whose[str(job.get("workspace_id"))].append(job)
    return (job for job in chain.from_iterable(zip_longest(*whose.values())) if job is not None)
