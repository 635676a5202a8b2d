"""Reading jobs: one, or a page of them, always within a workspace."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, cast

from pymongo.database import Database

from core.errors import NotFound
from core.jobs.document import Job, Status, jobs_of
from core.jobs.model import BACKGROUND, MARK, RETRY, RUNNING, ended_badly
from core.jobs.views import UNASKED
from core.store import pages
from core.store.matching import fields_of, matches

Document = dict[str, Any]


def get(
    db: Database[Document], workspace_id: str, job_id: str, shown: Mapping[str, Any] | None = None
) -> Job:
    """Raises `NotFound`, also for another workspace's job. `shown`: `UNASKED` for who only looks at it."""
    job = jobs_of(db).find_one({"_id": job_id}, shown)
    if job is None or job["workspace_id"] != workspace_id:
        raise NotFound(f"no job {job_id}")
    return job


def page(
    db: Database[Document],
    workspace_id: str,
    *,
    since: datetime | None = None,
    limit: int = pages.DEFAULT_LIMIT,
    cursor: str | None = None,
    shown: Mapping[str, Any] = UNASKED,
    **filters: Any,
) -> tuple[list[Job], str | None]:
    """Jobs, newest first, without what was asked; and the next page's cursor. `filters`: `matching`'s."""
    wanted = matching(workspace_id, **filters)
    if wanted.get("status") == RUNNING:
        found: Any = _running(db, wanted, shown)
        items = pages.few(found, limit=limit, cursor=cursor, since=since)
    else:
        marked = partial(_marked, db, workspace_id)
        items = pages.page(
            db.jobs, wanted, limit=limit, cursor=cursor, since=since, shown=shown, places=marked
        )
    return cast("tuple[list[Job], str | None]", items)


def several(
    db: Database[Document],
    workspace_id: str,
    *,
    states: Sequence[Status],
    until: datetime,
    most: int,
    ids: Sequence[str] = (),
    without: Collection[str] = (),
    since: datetime | None = None,
    **filters: Any,
) -> list[str]:
    """The ids of at most so many jobs in one of these states, for what is done to many at once; none made
    after `until`.

    `ids`: those that may be among them; none: all. `without`: none of these. `filters`: `matching`'s.
    Jobs are found by their ids alone, or by a list's windows: a query of all that is asked takes seconds
    among 20,000.
    """
    ids = ids or _listed(db, workspace_id, states, until, most, without, since=since, **filters)
    made: Document = {"$lte": until, **({"$gte": since} if since else {})}
    wanted = {**matching(workspace_id, **filters), "status": {"$in": states}, "created_at": made}
    found = db.jobs.find({"_id": {"$in": list(ids)}}, dict.fromkeys(fields_of(wanted), 1))
    return [job["_id"] for job in found if matches(job, wanted) and job["_id"] not in without][:most]


def run_again(db: Database[Document], workspace_id: str) -> set[str]:
    """The ids of the workspace's jobs that were run again already, each of which can be once."""
    marked = {
        "workspace_id": workspace_id,
        "idempotency.route": RETRY,
        "idempotency.key": {"$gt": ""},  # without it the embedded server reads all jobs
    }
    return {job["idempotency"]["key"] for job in db.jobs.find(marked, {"idempotency.key": 1})}


def matching(
    workspace_id: str,
    *,
    kind: str | None = None,
    status: Status | None = None,
    agent_id: str | None = None,
    created_by: str | None = None,
    provider: str | None = None,
    code: str | None = None,
    priority: str | None = None,
    known_as: Iterable[str] = (),
    q: str | None = None,
) -> Document:
    """The query of a list of jobs.

    `created_by`: a key's id. `provider`: one that was asked. `code`: the error's. `known_as`: ids of the
    request that made it, or of providers' requests, all of which it has. `q`: part of an id or error.
    """
    given = {
        "kind": kind,
        "status": status,
        "agent_id": agent_id,
        "created_by": created_by,
        "calls.provider": provider,
        "error.code": code,
    }
    wanted: Document = {"workspace_id": workspace_id, **{k: v for k, v in given.items() if v}}
    if priority:
        wanted["priority"] = BACKGROUND if priority == BACKGROUND else None
    if ids := [*known_as, *ended_badly(status)]:
        wanted["known_as"] = ids[0] if len(ids) == 1 else {"$all": ids}
    if q:
        found = re.compile(re.escape(q), re.IGNORECASE)
        wanted["$or"] = [{field: found} for field in ("_id", "request_id", "error.detail", "error.code")]
    return wanted


def _listed(
    db: Database[Document],
    workspace_id: str,
    states: Sequence[Status],
    until: datetime,
    most: int,
    without: Collection[str],
    **asked: Any,
) -> list[str]:
    found: list[str] = []
    for state in states:
        cursor: str | None = None
        while len(found) < most:
            jobs, cursor = page(db, workspace_id, status=state, limit=pages.MOST, cursor=cursor, **asked)
            made = (job["_id"] for job in jobs if job["created_at"] <= until)
            found += [job_id for job_id in made if job_id not in without]
            if cursor is None:
                break
    return found


def _running(db: Database[Document], wanted: Document, shown: Mapping[str, Any]) -> list[Document]:
    """Of all jobs that run, which are as many as there are slots, those that are wanted."""
    read = dict.fromkeys(fields_of(wanted), 1)
    ids = [job["_id"] for job in db.jobs.find({"status": RUNNING}, read) if matches(job, wanted)]
    return list(db.jobs.find({"_id": {"$in": ids}}, shown))


def _marked(db: Database[Document], workspace_id: str, since: datetime, before: datetime) -> list[datetime]:
    """When those jobs were made of which there is one among a hundred or so; for windows of time."""
    marks = {"workspace_id": workspace_id, "known_as": MARK, "created_at": {"$gte": since, "$lt": before}}
    found = db.jobs.find(marks, {"created_at": 1}).sort("created_at", -1)
    return [job["created_at"] for job in found]
