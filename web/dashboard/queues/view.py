"""Queues and workers, and the jobs in isolation and quarantine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from flask import Blueprint, Response

from core import fleet
from core.accounts import workspaces
from core.agents import agents
from core.history import reading
from core.history.documents import QueuePoint
from core.jobs import control, isolation, queries, queues
from core.jobs.document import Job
from web.access import access
from web.context import caller, db, services, workspace_id
from web.dashboard.frame import answers
from web.doors import again

Document = dict[str, Any]

views = Blueprint("queues", __name__)

RECENT = 5
"""Minutes of which the rate is the mean."""
GONE_SHOWN = 10


@views.get("/queues")
def overview() -> Response:
    """What waits in each queue; for admins also whose it is, and the worker processes."""
    admin = caller().role == "admin"
    workers = fleet.workers(db()) if admin else []
    mine = _mine(job for worker in workers for job in (*worker["jobs"], *worker["last_jobs"]))
    rows = queues.overview(db(), services().redis)
    waiting = [{"queue": row["name"], **one} for row in rows for one in row["waiting"]] if admin else []
    return answers.page(
        "queues/page.html",
        queues=[_queue(row) for row in rows],
        waiting=sorted(waiting, key=lambda one: -one["depth"]),
        names=workspaces.names(db(), {row["workspace_id"] for row in waiting}),
        hosts=_hosts([worker for worker in workers if worker["alive"]]),
        gone=[worker for worker in workers if not worker["alive"]][:GONE_SHOWN],
        mine=mine,
    )


@views.post("/queues/<queue>/pause")
@access(admin=True)
def pause(queue: str) -> Response:
    """Let workers take nothing more from a queue."""
    queues.set_paused(db(), services().redis, queue, True)
    return answers.go("/queues", f"{queue} is paused: its jobs stay, and no worker takes one.")


@views.post("/queues/<queue>/resume")
@access(admin=True)
def resume(queue: str) -> Response:
    """Let workers take from a queue again."""
    queues.set_paused(db(), services().redis, queue, False)
    return answers.go("/queues", f"{queue} goes on.")


@views.get("/queues/isolation")
def set_apart() -> Response:
    """Jobs that run alone since they lost workers, and those that are not run any more."""
    alone = isolation.isolated(db(), workspace_id())
    kept = isolation.quarantined(db(), workspace_id())
    return answers.page(
        "queues/isolation.html",
        alone=alone,
        kept=kept,
        again=isolation.requeued(db(), workspace_id(), [job["_id"] for job in kept]),
        names=_agents([*alone, *kept]),
    )


@views.post("/queues/isolation/<job_id>/requeue")
def requeue(job_id: str) -> Response:
    """Run a quarantined job again."""
    made = again.run(queries.get(db(), workspace_id(), job_id))
    return answers.go("/queues/isolation", f"Job {made['_id'][-8:]} runs it again.")


@views.post("/queues/isolation/<job_id>/discard")
def discard(job_id: str) -> Response:
    """Take a job away: one that waits is cancelled, a quarantined one's content is erased."""
    job = queries.get(db(), workspace_id(), job_id)
    if job["status"] in ("queued", "running"):
        control.cancel(db(), services().redis, job)
        return answers.go("/queues/isolation", "It is cancelled.")
    isolation.discard(db(), services().redis, job)
    return answers.go("/queues/isolation", "It is discarded.")


def _queue(row: Document) -> Document:
    """With its last hour."""
    points = reading.queue(db(), row["name"])
    return {
        **row,
        "depths": [point.get("depth", 0) for point in points],
        "ended": [point.get("finished", 0) for point in points],
        "rate": _rate(points),
    }


def _rate(points: Sequence[QueuePoint]) -> float:
    """Jobs that ended in one of the last minutes, on average."""
    return sum(point.get("finished", 0) for point in points[-RECENT:]) / RECENT


def _hosts(workers: Iterable[Document]) -> list[Document]:
    """Each host with its processes, and their sums."""
    found = []
    for host, group in groupby(sorted(workers, key=lambda worker: worker["host"]), lambda w: w["host"]):
        processes = sorted(group, key=lambda worker: (worker["role"], worker["pid"]))
        found.append(
            {
                "name": host,
                "processes": processes,
                "slots": sum(worker["slots"] for worker in processes),
                "used": sum(len(worker["jobs"]) for worker in processes),
                "memory": sum(worker["memory_bytes"] or 0 for worker in processes),
            }
        )
    return found


def _mine(job_ids: Iterable[str]) -> set[str]:
    """Those of these jobs that this workspace may look at: processes carry out those of all."""
    found = db().jobs.find({"_id": {"$in": list(job_ids)}}, {"workspace_id": 1})
    return {job["_id"] for job in found if job["workspace_id"] == workspace_id()}


def _agents(jobs: Iterable[Job]) -> Mapping[str, str]:
    wanted = sorted({job["agent_id"] for job in jobs if job["agent_id"]})
    return {agent["_id"]: agent["name"] for agent in agents.of_ids(db(), workspace_id(), wanted)}
