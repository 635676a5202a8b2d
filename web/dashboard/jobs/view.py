"""The list of jobs, and a job's page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import Blueprint, Response, request

from core import deliveries
from core.accounts import keys
from core.agents import agents
from core.documents import keys_of
from core.errors import NotFound
from core.jobs import events, kinds, lanes, queries, waiting
from core.jobs.document import Job
from core.jobs.model import CANCELLED, DONE, FAILED
from core.jobs.views import UNASKED
from core.llm import providers
from core.metering.calls import calls_of
from core.store import pages
from web.context import db, services, workspace_id
from web.dashboard.frame import answers, live
from web.dashboard.jobs import curl, filters, timeline, writes
from web.dashboard.jobs.filters import WITHIN

Document = dict[str, Any]

views = Blueprint("jobs", __name__)
views.register_blueprint(writes.views)

MOST_EVENTS = 1000
STATES = ("queued", "running", "succeeded", "failed", "cancelled")
UNSAID = {"request": 0, "plan": 0, "result.message": 0, "metadata": 0}
"""The projection of the list: nothing that was said."""


@views.get("/jobs")
def jobs() -> Response:
    """The workspace's jobs, newest first."""
    wanted = filters.read()
    if wanted.q and (found := _named(wanted.q)):
        return answers.go(f"/jobs/{found}")
    rows, after = queries.page(
        db(),
        workspace_id(),
        **wanted.asked(db(), workspace_id()),
        since=wanted.since(),
        cursor=request.args.get("cursor"),
        shown=UNSAID,
    )
    return answers.page(
        "jobs/list.html",
        jobs=rows,
        after=after,
        wanted=wanted,
        searched=wanted.q or "",
        names=_agents(job["agent_id"] for job in rows),
        states=[(state, state.capitalize()) for state in STATES],
        kinds=[(kind, kind.replace("_", " ")) for kind in kinds.KINDS],
        providers=[(name, name) for name in providers.PROVIDERS],
        priorities=[(name, name.capitalize()) for name in lanes.PRIORITIES],
        within=[(name, f"Last {said}") for name, (said, _) in WITHIN.items()],
        took=_took,
        turned=bool(request.args.get("cursor")),
    )


@views.get("/jobs/names")
def names() -> Response:
    """What the filters of the list may be completed to: agents and keys."""
    found, _ = agents.page(db(), workspace_id(), limit=pages.MOST, cursor=None)
    of_keys, _ = keys.page(db(), workspace_id(), limit=pages.MOST, cursor=None)
    return answers.page("jobs/names.html", agents=found, keys=of_keys)


@views.get("/jobs/<job_id>")
def job(job_id: str) -> Response:
    """All that is known of a job."""
    found = queries.get(db(), workspace_id(), job_id)
    why = waiting.why(db(), found)
    key = keys_of(db()).find_one({"_id": found["created_by"]})
    rows = list(db().token_usage.find({"_id": {"$in": [name for name, *_ in calls_of(found)]}}))
    return answers.page(
        "jobs/one.html",
        job=found,
        done=found["status"] in DONE,
        agent=_agents([found["agent_id"]]).get(found["agent_id"]),
        key=key,
        steps=timeline.steps(found, _processes(found), waiting.WORDS[why] if why else None),
        rows=sorted(rows, key=lambda row: row["_id"]),
        deliveries=deliveries.of_job(db(), found),
        curl=curl.of(found, request.host_url.rstrip("/")),
        messages=(found["request"] or {}).get("messages") or [],
        asked={k: v for k, v in (found["request"] or {}).items() if k != "messages"},
        may_retry=found["status"] in (FAILED, CANCELLED)
        and found["request"] is not None
        and found["kind"] in kinds.KINDS
        and kinds.KINDS[found["kind"]].retried,
        may_change=found["status"] in DONE and found["kind"] == "chat" and found["request"] is not None,
    )


@views.get("/jobs/<job_id>/events")
def told(job_id: str) -> Response:
    """Its events, as far as they are still kept: what its watchers were told."""
    found = queries.get(db(), workspace_id(), job_id, UNASKED)
    every = events.all_of(services().redis, found["_id"], most=MOST_EVENTS)
    return answers.page("jobs/events.html", events=list(every), most=MOST_EVENTS)


@views.get("/jobs/<job_id>/stream")
def stream(job_id: str) -> Response:
    """A job's words as they come, and `change` whenever its page is to be asked for again."""
    return live.of_job(queries.get(db(), workspace_id(), job_id, UNASKED))


def _named(text: str) -> str | None:
    """The id of the one job that this is the id of."""
    try:
        return queries.get(db(), workspace_id(), text, UNASKED)["_id"]
    except NotFound:
        return None


def _took(job: Job) -> float | None:
    """Milliseconds from its acceptance to its end."""
    return (job["finished_at"] - job["created_at"]).total_seconds() * 1000 if job["finished_at"] else None


def _agents(ids: Iterable[str | None]) -> dict[str | None, str]:
    """The agents' names, by id; one that is gone has none."""
    wanted = sorted({found for found in ids if found})
    return {agent["_id"]: agent["name"] for agent in agents.of_ids(db(), workspace_id(), wanted)}


def _processes(job: Job) -> dict[str, Document]:
    """The worker processes that the job names."""
    past = [claim["owner"] for claim in (*job.get("lost", ()), *job.get("handed_back", ()))]
    owners = [owner for owner in (*past, job["owner"]) if owner]
    return {found["_id"]: found for found in db().processes.find({"_id": {"$in": owners}})} if owners else {}
