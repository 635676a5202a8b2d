"""The views of jobs: look at them, end them, run them again, erase what was said in them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from flask import Response
from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema

from core import deliveries
from core.clock import rfc3339
from core.errors import NotFound
from core.jobs import control, kinds, queries, views
from core.jobs.document import Job, Status
from core.store import pages
from web import answers
from web.access import access
from web.context import caller, db, services, workspace_id
from web.doors import again, work
from web.resource import AgentId, Id, Nothing, PageQuery, resource, since
from web.shapes.base import page
from web.shapes.jobs import Delivery
from web.shapes.jobs import Job as JobShape
from web.specification.headers import said
from web.specification.says import accepts, shows, tells

api = resource("jobs", "Work is a job")

RESULTS = "The job; its `result`, by kind: " + "; ".join(
    f"`{kind.name}`: {kind.result}" for kind in kinds.KINDS.values()
)
KindName = Annotated[
    str,
    AfterValidator(lambda name: kinds.row(name).name),
    WithJsonSchema({"type": "string", "enum": list(kinds.KINDS)}),
]


class JobPath(BaseModel):
    job_id: Id


class JobsQuery(PageQuery):
    kind: KindName | None = None
    status: Status | None = None
    agent_id: AgentId | None = None
    request_id: str | None = Field(
        default=None, max_length=200, description="the `X-Request-Id` that made it"
    )
    provider_request_id: str | None = Field(default=None, max_length=200, description="of one of its calls")
    q: str | None = Field(default=None, max_length=200, description="part of an id or an error")
    since: datetime | None = None


@api.get(
    "/jobs/<job_id>",
    responses={
        **shows(JobShape, RESULTS, headers=("ETag", "Retry-After")),
        "304": {"description": "Unchanged", "headers": said("ETag", "Retry-After")},
    },
)
@access(agent=True)
@tells(takes=("If-None-Match",))
def get_job(path: JobPath) -> Response:
    """A job as it is now."""
    return answers.current(job_of_caller(path.job_id, views.UNASKED))


@api.get("/jobs", responses=shows(page(JobShape), "A page of jobs, newest first"))
@access(filtered=True)
def list_jobs(query: JobsQuery) -> Response:
    """The workspace's jobs. A page that looks for few among many says how far it has looked back.

    By `status` failed, cancelled or running, and by the ids of requests, all are found at once. For the other
    filters 500 jobs are looked at for a page: it may have fewer items than `limit`, or none. It has fewer,
    too, where jobs are large: together they are 4 MB, but for the first. Then
    `looked_back_to` is a time, `detail` says so, and `next_cursor` looks further; `since` ends it sooner.
    """
    named = (query.request_id, query.provider_request_id)
    filters = query.model_dump(exclude={"agent_id", "since", "request_id", "provider_request_id"})
    items, cursor = queries.page(
        db(),
        workspace_id(),
        **filters,
        agent_id=_agents(query.agent_id),
        known_as=[one for one in named if one],
        since=since(query.since),
    )
    more = _looked(cursor) if cursor and len(items) < query.limit else {}
    return answers.listed(map(views.public, items), cursor, **more)


@api.post(
    "/jobs/<job_id>/cancel",
    responses=shows(JobShape, "The job as it is now", status=202, headers=("Location", "Retry-After")),
)
@access(agent=True)
@tells(fails=(409,))
def cancel_job(path: JobPath, body: Nothing) -> Response:
    """End a job: at once while it is queued, within a second or so while it runs."""
    return answers.accepted(control.cancel(db(), services().redis, job_of_caller(path.job_id)))


@api.post("/jobs/<job_id>/retry", responses=accepts(JobShape))
@tells(takes=("Prefer",), fails=(402, 409, 422))
def retry_job(path: JobPath, body: Nothing) -> Response:
    """Run a failed or cancelled job again with today's configuration; a second retry gives the same job."""
    return work.started(again.run(job_of_caller(path.job_id)))


@api.delete("/jobs/<job_id>/content", responses={"204": {"description": "Erased"}})
@tells(fails=(409,))
def erase_job_content(path: JobPath) -> Response:
    """Erase prompt, output and events now; the accounting stays."""
    control.erase_content(db(), services().redis, job_of_caller(path.job_id))
    return answers.nothing()


@api.get("/jobs/<job_id>/deliveries", responses=shows(page(Delivery), "Each try of the job's callback"))
def list_deliveries(path: JobPath) -> Response:
    """What became of the job's callback: delivered, due again or given up; with every try."""
    found = deliveries.of_job(db(), job_of_caller(path.job_id, views.UNASKED))
    return answers.listed(map(deliveries.public, found), None)


def job_of_caller(job_id: str, shown: Mapping[str, Any] | None = None) -> Job:
    """A job that this request's key may touch, or what is `shown` of it. Raises `NotFound`."""
    job = queries.get(db(), workspace_id(), job_id, shown)
    if not caller().may_see(job):
        raise NotFound(f"no job {job_id}")
    return job


def _looked(cursor: str) -> dict[str, Any]:
    """What a page says whose search is not over."""
    back_to = rfc3339(pages.reached(cursor))
    detail = (
        f"{pages.LOOKED_AT} jobs at most, or few large ones, back to {back_to}: next_cursor looks further"
    )
    return {"looked_back_to": back_to, "detail": detail}


def _agents(named: str | None) -> Any:
    """Which agents' jobs to list: the named one's, or all that this key may touch."""
    allowed = caller().agents
    if allowed is None or named in allowed:
        return named
    return {"$in": [] if named else list(allowed)}
