"""Why a queued job waits, as far as its queue says."""

from __future__ import annotations

from typing import Any, Literal

from pymongo.database import Database

from core.jobs import queues
from core.jobs.bounds import Bounds
from core.jobs.document import Job
from core.jobs.kinds import ISOLATION
from core.jobs.model import QUEUED, RUNNING

Document = dict[str, Any]

Why = Literal["paused", "no_worker", "bounded", "busy", "isolated", "next"]
WORDS: dict[Why, str] = {
    "paused": "its queue is paused",
    "no_worker": "no worker process takes from its queue",
    "bounded": "its workspace, key or agent has as many running as it may",
    "busy": "all workers of its queue are busy",
    "isolated": "it has lost workers, and waits to be run alone",
    "next": "it is about to be taken",
}


def why(db: Database[Document], job: Job) -> Why | None:
    """None: the job does not wait."""
    if job["status"] != QUEUED:
        return None
    queue = job["queue"]
    if queue in queues.paused(db):
        return "paused"
    slots = sum(process["slots"] for process in db.processes.find({"dead": False, "queues": queue}))
    if not slots:
        return "no_worker"
    if queue == ISOLATION:
        return "isolated"
    bounds = Bounds()
    bounds.read(db)
    if bounds.reached(db, job):
        return "bounded"
    # By the state alone: for two fields the embedded server would look at all jobs there are.
    running = sum(one.get("queue") == queue for one in db.jobs.find({"status": RUNNING}, {"queue": 1}))
    return "busy" if running >= slots else "next"
