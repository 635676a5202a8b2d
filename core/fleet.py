"""The fleet: the worker processes that live or ended lately, and what each is doing."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from pymongo.database import Database

from core.clock import rfc3339
from core.jobs.model import RUNNING

Document = dict[str, Any]

SHOWN = ("role", "host", "pid", "version", "queues", "slots", "memory_bytes")
TIMES = ("started_at", "renewed_at", "stopped_at", "declared_dead_at")


def workers(db: Database[Document]) -> list[Document]:
    """Worker processes with their current jobs: first those that live, and of each the latest first."""
    carried: defaultdict[str, list[str]] = defaultdict(list)
    for job in db.jobs.find({"status": RUNNING}, {"owner": 1}):
        carried[job["owner"]].append(job["_id"])
    processes = sorted(db.processes.find(), key=lambda p: (p["dead"], -p["started_at"].timestamp()))
    return [
        {
            "id": process["_id"],
            **{name: process.get(name) for name in SHOWN},
            **{name: rfc3339(process.get(name)) for name in TIMES},
            "alive": not process["dead"],
            "jobs": sorted(carried[process["_id"]]),
            "last_jobs": process.get("last_jobs", []),
        }
        for process in processes
    ]
