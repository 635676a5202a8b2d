"""Accepting a job: one journaled insert is the promise; the message only makes the job start soon."""

from __future__ import annotations

from typing import Any

import redis
import structlog
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, PyMongoError

from core.clock import utcnow
from core.errors import Conflict, IdempotencyMismatch
from core.ids import new_id, new_nonce
from core.jobs.claim import let_go
from core.jobs.document import Job, jobs_of
from core.jobs.model import Draft, Idempotency, born, seated
from core.jobs.seats import Seats, message
from core.services import Insert, Send
from core.store.free_json import compact, storable
from core.store.repeat import insert_once

Document = dict[str, Any]

log = structlog.get_logger(__name__)


def accept(
    db: Database[Document],
    send: Send,
    draft: Draft,
    *,
    job_id: str | None = None,
    insert: Insert | None = None,
    seats: Seats | None = None,
) -> tuple[Job, bool]:
    """Store the job and send its id. Returns the job, and whether this call made it.

    `job_id`: the id of the job, where something was stored under this id before. `insert`: that of a
    `core.store.together.Together`, where many jobs are accepted at the same time; what it raises of its own
    is raised here. `seats`: where it may be born running.
    The same idempotency key with the same body gives the same job, for as long as the key is kept. Raises
    `IdempotencyMismatch` for another body, `PyMongoError` when the store is away. When Redis is away the job
    only starts later: the document is the outbox.
    """
    job, told = _placed(born(draft, job_id or new_id(), utcnow()), seats)
    made = False
    try:
        found = _stored(db, draft, job, insert)
        made = found is None
    finally:
        if seats is not None and not made:
            seats.leave(job)
    return (_started(db, send, job, seats, told), True) if found is None else (found, False)


def _stored(db: Database[Document], draft: Draft, job: Job, insert: Insert | None) -> Job | None:
    """None: this job is stored now. Otherwise the one that holds its idempotency key."""
    for _ in range(3):
        try:
            insert_once(db.jobs, storable({**job, "request": compact(job["request"])}), insert)
        except DuplicateKeyError:
            found = earlier(db, draft)
            if found is not None:
                return found
        else:
            return None
    raise Conflict("this Idempotency-Key is being used by several requests at once; try again")


def _placed(job: Job, seats: Seats | None) -> tuple[Job, bytes | None]:
    """The job, in a seat if there is one, and what its process is to be told."""
    process_id = seats.take(job) if seats is not None else None
    if seats is None or process_id is None:
        return job, None
    placed = seated(job, process_id, new_nonce())
    if (told := message(placed)) is None:
        seats.leave(placed)
        return job, None
    return placed, told


def _started(db: Database[Document], send: Send, job: Job, seats: Seats | None, told: bytes | None) -> Job:
    """Its process is told, or its lane. Returns the job as it is then."""
    if seats is not None and told is not None:
        if seats.tell(job, told):
            return job
        try:
            queued = let_go(db, job)
        except PyMongoError as error:  # its process, or reconcile, finds it there
            log.warning("seat.not_left", job_id=job["_id"], error=type(error).__name__)
            return job
        if queued is None:
            return job
        job = queued
    enqueue(send, job)
    return job


def enqueue(send: Send, job: Job) -> bool:
    """Send a job's id; False when Redis is away: the reconciler sends it again later."""
    try:
        send(job)
    except redis.RedisError as error:
        log.warning("job.not_sent", job_id=job["_id"], error=type(error).__name__)
        return False
    return True


def earlier(db: Database[Document], draft: Draft) -> Job | None:
    """The job that holds this draft's idempotency key. None: the draft has no key, or the key is free.

    Raises `IdempotencyMismatch` for another body.
    """
    mark = draft.idempotency
    if mark is None:
        return None
    held = {
        "workspace_id": draft.workspace_id,
        "idempotency.route": mark.route,
        "idempotency.key": mark.key,
    }
    job = jobs_of(db).find_one(held)
    if job is None:
        return None
    if not mark.held_by(job, utcnow()):
        db.jobs.update_one({"_id": job["_id"]}, {"$unset": {"idempotency": ""}})
        return None
    _same_body(job, mark)
    return job


def _same_body(job: Job, mark: Idempotency) -> None:
    if job["idempotency"]["hash"] != mark.hash:
        raise IdempotencyMismatch("this Idempotency-Key was used with another body")
