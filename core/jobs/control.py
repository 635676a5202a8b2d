"""What a user may do to a job: cancel it, run it again (if that is allowed), erase what was said in it."""

from __future__ import annotations

from typing import Any

import redis
import structlog
from pymongo.database import Database

from core.clock import utcnow
from core.errors import Conflict, NotFound
from core.jobs import signals
from core.jobs.document import Job, jobs_of
from core.jobs.erasing import erase
from core.jobs.lanes import Lanes
from core.jobs.model import CANCELLED, DONE, FAILED, QUEUED, RUNNING, ending

Document = dict[str, Any]

log = structlog.get_logger(__name__)


def cancel(db: Database[Document], client: redis.Redis, job: Job) -> Job:
    """End a queued job now; ask the worker of a running job to end it. Returns the job as it is then.

    Raises `Conflict` for a job that is done already.
    """
    for _ in range(5):
        if job["status"] in DONE:
            raise Conflict(f"the job is {job['status']} already")
        if job["status"] == QUEUED:
            matching = {"_id": job["_id"], "status": QUEUED, "attempt": job["attempt"]}
            update = ending(job, status=CANCELLED, now=utcnow())
            channel = signals.CHANGED
        else:
            matching = {"_id": job["_id"], "status": RUNNING, "fence": job["fence"]}
            update = {"$set": {"cancel_requested": True}}
            channel = signals.process_channel(job["owner"] or "")
        moved = db.jobs.update_one(matching, update).matched_count != 1
        job = _again(db, job["_id"])
        if not moved:
            signals.publish(client, channel, job["_id"])
            if job["status"] in DONE:
                _forgotten(client, job)
            return job
    raise Conflict("the job changes hands just now; try again")


def _forgotten(client: redis.Redis, job: Job) -> None:
    """Nobody comes to take it out of its lane while its queue is paused, or has no worker."""
    try:
        Lanes(client).drop(job)
    except redis.RedisError as error:
        log.warning("lane.not_left", job_id=job["_id"], error=type(error).__name__)


def check_retry(job: Job) -> None:
    """Raises `Conflict` unless the job ended badly and its content is still there."""
    if job["status"] not in (FAILED, CANCELLED):
        raise Conflict(f"only a failed or cancelled job can be run again; this one is {job['status']}")
    if job["request"] is None:
        raise Conflict("the content of this job was erased")


def erase_content(db: Database[Document], client: redis.Redis, job: Job) -> None:
    """Erase prompt, output and events of a job that is done; the accounting stays. Safe to repeat."""
    if job["status"] not in DONE:
        raise Conflict(f"the job is {job['status']}; cancel it first")
    erase(db, client, job)


def _again(db: Database[Document], job_id: str) -> Job:
    job = jobs_of(db).find_one({"_id": job_id})
    if job is None:
        raise NotFound(f"no job {job_id}")
    return job
