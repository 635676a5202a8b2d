"""Second tries: OpenAI's SDKs repeat a request by themselves, without an idempotency key.

Each job of the door is known by its API key and body. A first try makes a job of its own, since people do ask
the same thing twice. All later tries of a request share an idempotency key, so that two of them at once make
one job.
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

from flask import request

from core.clock import utcnow
from core.errors import Conflict
from core.ids import new_nonce
from core.jobs import control
from core.jobs.document import Job, jobs_of
from core.jobs.model import CANCELLED, FAILED, MARK, QUEUED, RUNNING, Idempotency
from core.services import Services
from web.context import caller, db, workspace_id

Document = dict[str, Any]

COUNT = "x-stainless-retry-count"
JOINED_WITHIN = timedelta(minutes=10)


def name() -> str:
    """By what the client's next try finds this request's job."""
    return f"{MARK}{_route()}"


def mark() -> Idempotency | None:
    """The idempotency key of this request, if it is not the first try."""
    if _is_first():
        return None
    route = _route()
    return Idempotency(route, "again", hash=route, kept=JOINED_WITHIN, frees_failures=True)


def earlier() -> Job | None:
    """The job of an earlier try of this request, if it has not failed and is not being cancelled."""
    if _is_first():
        return None
    since = utcnow() - JOINED_WITHIN
    marked = {
        "workspace_id": workspace_id(),
        "known_as": name(),
        "created_at": {"$gte": since},
    }
    found = [
        job
        for job in jobs_of(db()).find(marked)
        if job["status"] not in (FAILED, CANCELLED) and not job["cancel_requested"]
    ]
    return max(found, key=lambda job: job["created_at"], default=None)


def attach(job: Job) -> str | None:
    """Make this request the one that the job of an earlier try lives for: that try's client is gone.

    Returns a mark for `leave`; None when the job has ended, or is being cancelled.
    """
    mine = new_nonce()
    under_way = {"_id": job["_id"], "status": {"$in": [QUEUED, RUNNING]}, "cancel_requested": False}
    attached = db().jobs.update_one(under_way, {"$set": {"attached": mine}}).matched_count == 1
    return mine if attached else None


def leave(services: Services, job_id: str, attached: str | None) -> None:
    """End the job of a client that is gone, as OpenAI does, unless a later try has joined the job."""
    job = jobs_of(services.db).find_one({"_id": job_id})
    if job is None or job["status"] not in (QUEUED, RUNNING) or job.get("attached") != attached:
        return
    try:
        control.cancel(services.db, services.redis, job)
    except Conflict:
        return  # it ended meanwhile


def _is_first() -> bool:
    count = request.headers.get(COUNT, "0")
    return not (count.isascii() and count.isdecimal() and count.strip("0"))


def _route() -> str:
    body = json.dumps(request.get_json(), sort_keys=True)
    return "door/" + hashlib.sha256(f"{caller().key_id} {body}".encode()).hexdigest()
