"""Retention: what is erased when. The accounting of a job that was not metered yet is never touched."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain, pairwise, starmap
from typing import Any, TypeVar

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
from core.jobs.model import DONE, MARK, content_kept
from core.jobs.places import STUCK
from core.metering.entered import waits
from core.store import aside, marks, overwriting, sizes
from core.store.indexes import EXPIRING
from core.store.windows import OLDEST

Document = dict[str, Any]
T = TypeVar("T")

AT_IT_S = 20.0
"""How long erasing, and then deleting, may take in a minute. A number would limit how many jobs are made."""
LOOKED_AGAIN = timedelta(minutes=10)
MARKS_AT_ONCE = 8
"""So many marks lie between two looks at what is to be deleted: 1,024 jobs or so."""
AT_ONCE = 200
"""So many documents are deleted by one command, meanwhile the embedded server does nothing else."""
PROCESSES_KEPT = timedelta(days=1)
DELIVERIES_KEPT = timedelta(days=40)
DELIVERIES_ENDED = ("delivered", "failed")
ENDED: Document = {"status": {"$in": sorted(DONE)}, "meter": {"$ne": STUCK}}
"""Jobs that are done, but for those that an earlier version could not enter into the ledger: they stay."""

log = structlog.get_logger(__name__)


class Purge:
    """Each tick takes a bounded time; the next one goes on from there."""

    def __init__(self, db: Database[Document], client: redis.Redis, settings: Settings) -> None:
        self.db = db
        self.client = client
        self.settings = settings
        self._waits = waits(db)

    def tick(self) -> Document:
        """Erase what is past its time, for a bounded time; what was done, by name."""
        now = utcnow()
        done = {
            "contents_erased": self._erase_contents(now),
            "jobs_deleted": self._delete_jobs(now),
            "jobs_trimmed": self._keep_the_embedded_store_small() if self.settings.embedded_store else 0,
            "processes_deleted": self._delete_processes(now),
            "deliveries_deleted": self._delete_deliveries(now),
            "expired_deleted": self._delete_expired(now),
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
            # Without a beginning the range has what was erased, which has no such time.
            yield from jobs_of(self.db).find({"status": status, "send_after": {"$gte": OLDEST, "$lte": now}})

    def _not_before(self, job: Job, now: datetime) -> datetime | None:
        """When to look at this job's content again. None: erase it now."""
        rule = job["plan"].get("content_retention") or self.settings.content_retention
        over = (job["finished_at"] or now) + content_kept(rule)
        if job.get("content_erased_at") is None and over > now:
            return over
        needed = self._waits(job) or self.db.deliveries.find_one(
            {"_id": delivery_id(job), "state": "due"}, {"_id": 1}
        )
        return now + LOOKED_AGAIN if needed else None

    def _delete_jobs(self, now: datetime) -> int:
        oldest = now - timedelta(days=self.settings.job_retention_days)
        over = _for_a_while(self._finished(OLDEST, oldest))
        return sum(aside.each(self.db, "purge", over, self._delete))

    def _keep_the_embedded_store_small(self) -> int:
        """The oldest finished jobs go once there are more than it can bear: about as many as marks say.

        To count them is to read all of them.
        """
        made = sorted(self._marks_of_finished(), reverse=True)
        most, deleted = sizes.MOST_FINISHED_JOBS // marks.EACH, 0
        if len(made) > most:
            times = [OLDEST, *sorted(made[most - 1 :: MARKS_AT_ONCE])]
            over = chain.from_iterable(starmap(self._finished, pairwise(times)))
            deleted = sum(aside.each(self.db, "purge", _for_a_while(over), self._delete))
        sizes.note(self.db, min(len(made), most) * marks.EACH)
        return deleted

    def _marks_of_finished(self) -> Iterator[datetime]:
        """When those finished jobs were made of which there is one among `marks.EACH`."""
        for workspace in self.db.workspaces.find({}, {"_id": 1}):
            marked = {"workspace_id": workspace["_id"], "known_as": MARK}
            for job in jobs_of(self.db).find(marked, {"status": 1, "created_at": 1}):
                if job["status"] in DONE:
                    yield job["created_at"]

    def _delete(self, job: Job) -> int:
        leave_conversation(self.db, job)
        unchanged = {"_id": job["_id"], "status": job["status"], "meter": job.get("meter")}
        return self.db.jobs.delete_one(unchanged).deleted_count

    def _finished(self, since: datetime, before: datetime) -> Iterator[Job]:
        """Those that were made in this time. What the index knows comes first, and alone: for more, or for a
        range without a beginning, the embedded server looks at all jobs of all workspaces."""
        for workspace in self.db.workspaces.find({}, {"_id": 1}):
            indexed = {"workspace_id": workspace["_id"], "created_at": {"$gte": since, "$lt": before}}
            found = jobs_of(self.db).aggregate([{"$match": indexed}, {"$match": ENDED}])
            yield from (job for job in found if not self._waits(job))

    def _delete_processes(self, now: datetime) -> int:
        """Those whose jobs are all in the ledger."""
        gone = {"dead": True, "renewed_at": {"$lt": now - PROCESSES_KEPT}, "in_line": {"$ne": True}}
        return self.db.processes.delete_many(gone).deleted_count

    def _delete_deliveries(self, now: datetime) -> int:
        """`next_at` is the time of the last try, so the index on `state` and `next_at` serves this."""
        tried = {"next_at": {"$lt": now - DELIVERIES_KEPT}}
        return sum(
            self.db.deliveries.delete_many({"state": state, **tried}).deleted_count
            for state in DELIVERIES_ENDED
        )

    def _delete_expired(self, now: datetime) -> int:
        over = {"expires_at": {"$gte": OLDEST, "$lt": now}}
        return sum(
            self.db[name].delete_many({"_id": {"$in": some}, **over}).deleted_count
            for name, some in _for_a_while(self._expired(over))
        )

    def _expired(self, over: Document) -> Iterator[tuple[str, list[Any]]]:
        """The ids of what is over, some at a time, by collection."""
        for name in EXPIRING:
            ids = [found["_id"] for found in self.db[name].find(over, {"_id": 1})]
            yield from ((name, ids[at : at + AT_ONCE]) for at in range(0, len(ids), AT_ONCE))


def _for_a_while(work: Iterator[T]) -> Iterator[T]:
    until = time.monotonic() + AT_IT_S
    for one in work:
        yield one
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
