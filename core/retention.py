"""Retention: what is erased when. The accounting of a job that was not metered yet is never touched."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import redis
import structlog
from pymongo.database import Database

from core.config import Settings
from core.errors import Invalid
from core.ids import utcnow
from core.jobs.erasing import erase, leave_conversation
from core.jobs.model import DONE

Document = dict[str, Any]

SOON = {"none": timedelta(0), "done": timedelta(hours=1)}
DELETED_A_TICK = 2000
ERASED_A_TICK = 2000
PROCESSES_KEPT = timedelta(days=1)
DELIVERIES_KEPT = timedelta(days=40)

log = structlog.get_logger(__name__)


class Purge:
    """One tick after another; each does a bounded amount."""

    def __init__(self, db: Database[Document], client: redis.Redis, settings: Settings) -> None:
        self.db = db
        self.client = client
        self.settings = settings

    def tick(self) -> Document:
        """Erase what is past its time, a bounded number of documents; what was done, by name."""
        now = utcnow()
        return {
            "contents_erased": self._erase_contents(now),
            "jobs_deleted": self._delete_jobs(now),
            "processes_deleted": self._delete_processes(now),
            "deliveries_deleted": self.db.deliveries.delete_many(
                {"state": {"$ne": "due"}, "created_at": {"$lt": now - DELIVERIES_KEPT}}
            ).deleted_count,
        }

    def _erase_contents(self, now: datetime) -> int:
        """Prompts, outputs and events go when their agent says, unless a callback still needs them."""
        erased = 0
        for job in self._finished(now, {"content_erased_at": None}):
            keep = content_kept_for(job, self.settings)
            if now - job["finished_at"] < keep or job.get("meter") == "due":
                continue
            if self.db.deliveries.find_one({"_id": f"{job['_id']}-{job['status']}", "state": "due"}):
                continue
            erase(self.db, self.client, job)
            erased += 1
            if erased >= ERASED_A_TICK:
                break
        return erased

    def _delete_jobs(self, now: datetime) -> int:
        oldest = now - timedelta(days=self.settings.job_retention_days)
        deleted = 0
        for job in self._finished(oldest, {"meter": {"$exists": False}}):
            deleted += self._delete(job)
            if deleted >= DELETED_A_TICK:
                return deleted
        return deleted

    def _delete(self, job: Document) -> int:
        leave_conversation(self.db, job)
        return self.db.jobs.delete_one(
            {"_id": job["_id"], "status": {"$in": sorted(DONE)}, "meter": {"$exists": False}}
        ).deleted_count

    def _finished(self, before: datetime, more: Document) -> Iterator[Document]:
        for workspace in self.db.workspaces.find({}, {"_id": 1}):
            wanted = {"workspace_id": workspace["_id"], "created_at": {"$lt": before}, **more}
            for status in sorted(DONE):
                yield from self.db.jobs.find({**wanted, "status": status}).limit(DELETED_A_TICK)

    def _delete_processes(self, now: datetime) -> int:
        gone = {"dead": True, "renewed_at": {"$lt": now - PROCESSES_KEPT}}
        return self.db.processes.delete_many(gone).deleted_count


def check_remembers(agent: Document, settings: Settings) -> None:
    """Raises `Invalid` for an agent whose conversations would be erased before they could be continued."""
    if (agent.get("content_retention") or settings.content_retention) == "none":
        detail = "this agent keeps no content, so it cannot continue a conversation"
        raise Invalid(detail, errors=[{"pointer": "/conversation_id", "detail": detail}])


def content_kept_for(job: Document, settings: Settings) -> timedelta:
    """How long the content of a finished job is kept: by its agent's rule, or the setting's."""
    rule = job["plan"].get("content_retention") or settings.content_retention
    return SOON[rule] if rule in SOON else timedelta(days=int(rule))
