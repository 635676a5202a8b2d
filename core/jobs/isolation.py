"""Isolation: jobs that lost workers and run alone; and quarantine, where a person has to say what becomes of
them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import redis
from pymongo.database import Database

from core.errors import Conflict
from core.jobs import control, kinds
from core.jobs.document import Job, jobs_of
from core.jobs.model import FAILED, QUEUED, RETRY, RUNNING
from core.store.windows import OLDEST

Document = dict[str, Any]

QUARANTINED = "quarantined"
"""The code of the error with which a job ends that has lost too many workers."""
MOST = 100


def isolated(db: Database[Document], workspace_id: str) -> list[Job]:
    """The workspace's jobs that wait for the isolation queue or run there, the oldest first."""
    alone = {"workspace_id": workspace_id, "queue": kinds.ISOLATION}
    found = _found(db, {"status": {"$in": [QUEUED, RUNNING]}}, alone)
    return sorted(found, key=lambda job: job["created_at"])


def quarantined(db: Database[Document], workspace_id: str) -> list[Job]:
    """The workspace's jobs in quarantine whose content is still there, the latest first."""
    wanted = {"workspace_id": workspace_id, "error.code": QUARANTINED}
    # Those with a time at which their content may go: what was erased has none.
    kept = {"status": FAILED, "send_after": {"$gt": OLDEST}}
    found = _found(db, kept, wanted)
    return sorted(found, key=lambda job: job["created_at"], reverse=True)


def _found(db: Database[Document], indexed: Document, among: Document) -> list[Job]:
    """What an index knows, narrowed in a stage of its own, without a hint: else the embedded server
    looks at all jobs (1.5 s of 20,000, against 0.03)."""
    stages: list[Document] = [{"$match": indexed}, {"$match": among}, {"$limit": MOST}]
    return cast("list[Job]", list(db.jobs.aggregate(stages)))


def requeued(db: Database[Document], workspace_id: str, job_ids: Iterable[str]) -> dict[str, Job]:
    """Those of these jobs that were run again, with the job that does."""
    # One by one: for several, the embedded server reads all jobs.
    marks = ({"idempotency.route": RETRY, "idempotency.key": job_id} for job_id in job_ids)
    found = (jobs_of(db).find_one({"workspace_id": workspace_id, **mark}) for mark in marks)
    return {job["idempotency"]["key"]: job for job in found if job is not None}


def discard(db: Database[Document], client: redis.Redis, job: Job) -> None:
    """Take a job out of quarantine for good: what was asked is erased, so it is never run again.

    Raises `Conflict` for a job that is not in quarantine.
    """
    if (job["error"] or {}).get("code") != QUARANTINED:
        raise Conflict("only a quarantined job can be discarded")
    control.erase_content(db, client, job)
