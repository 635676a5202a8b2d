"""The engine, for operators: queues, worker processes, and the audit log."""

from __future__ import annotations

from datetime import datetime

from flask import Response
from pydantic import BaseModel

from core import audit_log as audit
from core import fleet
from core.jobs import queues
from web.access import access
from web.answers import listed
from web.context import caller, db, services, workspace_id
from web.resource import Id, Nothing, PageQuery, resource, since
from web.shapes.base import page
from web.shapes.engine import AuditEntry, Queue, Worker
from web.specification.says import shows

api = resource("engine", "Queues, workers, and who did what")


class QueuePath(BaseModel):
    queue: Id


class AuditQuery(PageQuery):
    since: datetime | None = None


@api.get(
    "/queues",
    responses=shows(
        page(Queue), "Depth, oldest age and throughput of each; for an admin also whose jobs wait"
    ),
)
def list_queues() -> Response:
    """The queues as they are now."""
    return _queues()


@api.post("/queues/<queue>/pause", responses=shows(page(Queue), "The queues"))
@access(admin=True)
def pause_queue(path: QueuePath, body: Nothing) -> Response:
    """Let workers take nothing more from a queue; its jobs stay."""
    queues.set_paused(db(), services().redis, path.queue, True)
    return _queues()


@api.post("/queues/<queue>/resume", responses=shows(page(Queue), "The queues"))
@access(admin=True)
def resume_queue(path: QueuePath, body: Nothing) -> Response:
    """Let workers take from a queue again."""
    queues.set_paused(db(), services().redis, path.queue, False)
    return _queues()


@api.get("/workers", responses=shows(page(Worker), "Processes, and what each is doing"))
@access(admin=True)
def list_workers() -> Response:
    """The worker processes: host, heartbeat, version, current jobs."""
    return listed(fleet.workers(db()), None)


@api.get("/audit-log", responses=shows(page(AuditEntry), "A page of entries, newest first"))
@access(admin=True)
def list_audit_log(query: AuditQuery) -> Response:
    """Who did what, when, from where."""
    items, cursor = audit.page(
        db(), workspace_id(), limit=query.limit, cursor=query.cursor, since=since(query.since)
    )
    return listed(map(audit.public, items), cursor)


def _queues() -> Response:
    rows = queues.overview(db(), services().redis)
    if caller().role != "admin":
        rows = [{name: value for name, value in row.items() if name != "waiting"} for row in rows]
    return listed(rows, None)
