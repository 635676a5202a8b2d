"""Retention: what is erased when. The accounting of a job that was not metered yet is never touched."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import redis
import structlog
from pymongo.database import Database

from core.clock import utcnow
from core.config import Settings
from core.deliveries import delivery_id
from core.documents import Agent
from core.errors import Invalid
from core.jobs.document import Job, jobs_of
from core.jobs.erasing import erase, leave_conversation
from core.jobs.model import DONE, content_kept
from core.store import aside, overwriting, sizes
from core.store.windows import OLDEST

Document = dict[str, Any]

AT_IT_S = 20.0
"""How long erasing, and then deleting, may take in a minute. A number would limit how many jobs are made."""
TRIMMED_A_TICK = 2000
LOOKED_AGAIN = timedelta(minutes=10)
TRIMMED_TO = 19_000
"""Finding the oldest reads all finished jobs of the embedded store, so many are deleted at a time."""
PROCESSES_KEPT = timedelta(days=1)
DELIVERIES_KEPT = timedelta(days=40)
DELIVERIES_ENDED = ("delivered", "failed")
METERED: Document = {"status": {"$in": sorted(DONE)}, "meter": {"$exists": False}}
"""Jobs that are done, and in the ledger."""

log = structlog.get_logger(__name__)


class Purge:
    """Each tick takes a bounded time; the next one goes on from there."""

    def __init__(self, db: Database[Document], client: redis.Redis, settings: Settings) -> None:
        self.db = db
        self.client = client
        self.settings = settings

    def tick(self) -> Document:
        """Erase what is past its time, for a bounded time; what was done, by name."""
        now = utcnow()
        done = {
            "contents_erased": self._erase_contents(now),
            "jobs_deleted": self._delete_jobs(now),
            "jobs_trimmed": self._keep_the_embedded_store_small() if self.settings.embedded_store else 0,
            "processes_deleted": self._delete_processes(now),
            "deliveries_deleted": self._delete_deliveries(now),
        }
        if done["jobs_deleted"] or done["jobs_trimmed"]:
            overwriting.note(self.db)
        return done

    def _erase_contents(self, now: datetime) -> int:
        """Prompts, outputs and events go when their agent says, unless a callback still needs them."""
        due = _for_a_while(self._due(now))
        return sum(aside.each(self.db, "purge", due, lambda job: self._erase(job, now)))

    def _erase(self, job: Job, now: datetime) -> bool:
        later = self._not_before(job, now)
        if later is None:
            erase(self.db, self.client, job)
            return True
        unchanged = {"_id": job["_id"], "status": job["status"]}
        self.db.jobs.update_one(unchanged, {"$set": {"send_after": later}})
        return False

    def _due(self, now: datetime) -> Iterator[Job]:
        for status in sorted(DONE):
            yield from jobs_of(self.db).find({"status": status, "send_after": {"$lte": now}})

    def _not_before(self, job: Job, now: datetime) -> datetime | None:
        """When to look at this job's content again. None: erase it now."""
        rule = job["plan"].get("content_retention") or self.settings.content_retention
        over = (job["finished_at"] or now) + content_kept(rule)
        if job.get("content_erased_at") is None and over > now:
            return over
        needed = job.get("meter") == "due" or self.db.deliveries.find_one(
            {"_id": delivery_id(job), "state": "due"}, {"_id": 1}
        )
        return now + LOOKED_AGAIN if needed else None

    def _delete_jobs(self, now: datetime) -> int:
        oldest = now - timedelta(days=self.settings.job_retention_days)
        over = _for_a_while(self._finished(oldest))
        return sum(aside.each(self.db, "purge", over, self._delete))

    def _keep_the_embedded_store_small(self) -> int:
        """The oldest finished jobs go once there are more than it can bear."""
        finished = sum(self.db.jobs.count_documents({"status": status}) for status in sorted(DONE))
        deleted = 0
        if finished > sizes.MOST_FINISHED_JOBS:
            oldest = jobs_of(self.db).find(METERED).sort("created_at", 1)
            some = oldest.limit(min(finished - TRIMMED_TO, TRIMMED_A_TICK))
            deleted = sum(aside.each(self.db, "purge", some, self._delete))
        sizes.note(self.db, finished - deleted)
        return deleted

    def _delete(self, job: Job) -> int:
        leave_conversation(self.db, job)
        return self.db.jobs.delete_one({"_id": job["_id"], **METERED}).deleted_count

    def _finished(self, before: datetime) -> Iterator[Job]:
        """Those that were made before. What the index knows comes first, and alone: for more, or for a range
        without a beginning, the embedded server looks at all jobs of all workspaces."""
        for workspace in self.db.workspaces.find({}, {"_id": 1}):
            indexed = {"workspace_id": workspace["_id"], "created_at": {"$gte": OLDEST, "$lt": before}}
            yield from jobs_of(self.db).aggregate([{"$match": indexed}, {"$match": METERED}])

    def _delete_processes(self, now: datetime) -> int:
        gone = {"dead": True, "renewed_at": {"$lt": now - PROCESSES_KEPT}}
        return self.db.processes.delete_many(gone).deleted_count

    def _delete_deliveries(self, now: datetime) -> int:
        """`next_at` is the time of the last try, so the index on `state` and `next_at` serves this."""
        tried = {"next_at": {"$lt": now - DELIVERIES_KEPT}}
        return sum(
            self.db.deliveries.delete_many({"state": state, **tried}).deleted_count
            for state in DELIVERIES_ENDED
        )


def _for_a_while(jobs: Iterator[Job]) -> Iterator[Job]:
    until = time.monotonic() + AT_IT_S
    for job in jobs:
        yield job
        if time.monotonic() > until:
            return


def remembers(agent: Agent, settings: Settings) -> bool:
    """Can its conversations be continued, or are they erased before?"""
    return (agent["content_retention"] or settings.content_retention) != "none"


def check_remembers(agent: Agent, settings: Settings) -> None:
    """Raises `Invalid` for an agent whose conversations cannot be continued."""
    if not remembers(agent, settings):
        detail = "this agent keeps no content, so it cannot continue a conversation"
        raise Invalid(detail, errors=[{"pointer": "/conversation_id", "detail": detail}])
