"""Queues: how deep each is, and pausing one. A paused queue keeps its jobs; workers take none of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import redis
from pymongo.database import Database

from core.clock import utcnow
from core.errors import NotFound
from core.jobs import kinds, signals
from core.jobs.model import QUEUED, RUNNING

Document = dict[str, Any]


def overview(db: Database[Document]) -> list[Document]:
    """Per queue: jobs waiting and running, the oldest waiting one's age, jobs ended in the last minute."""
    now = utcnow()
    waiting = {
        row["_id"]: row
        for row in db.jobs.aggregate(
            [
                {"$match": {"status": QUEUED}},
                {"$group": {"_id": "$queue", "n": {"$sum": 1}, "oldest": {"$min": "$created_at"}}},
            ]
        )
    }
    running = {
        row["_id"]: row["n"]
        for row in db.jobs.aggregate(
            [{"$match": {"status": RUNNING}}, {"$group": {"_id": "$queue", "n": {"$sum": 1}}}]
        )
    }
    workers = list(db.processes.find({"dead": False}))
    stopped = paused(db)
    return [
        {
            "name": queue,
            "paused": queue in stopped,
            "depth": waiting.get(queue, {}).get("n", 0),
            "oldest_age_s": (now - waiting[queue]["oldest"]).total_seconds() if queue in waiting else None,
            "running": running.get(queue, 0),
            "finished_last_minute": sum(
                w.get("finished_last_minute", 0) for w in workers if queue in w["queues"]
            ),
            "workers": sum(queue in w["queues"] for w in workers),
        }
        for queue in _names([*waiting, *running, *(q for w in workers for q in w["queues"])], stopped)
    ]


def waiting(db: Database[Document], workspace_id: str) -> Document:
    """Of one workspace, over all queues: `depth`, and `oldest_age_s` (None: nothing waits)."""
    mine: Document = {"$match": {"status": QUEUED, "workspace_id": workspace_id}}
    counted: Document = {"$group": {"_id": None, "n": {"$sum": 1}, "oldest": {"$min": "$created_at"}}}
    for row in db.jobs.aggregate([mine, counted]):
        return {"depth": row["n"], "oldest_age_s": (utcnow() - row["oldest"]).total_seconds()}
    return {"depth": 0, "oldest_age_s": None}


def by_workspace(db: Database[Document]) -> list[Document]:
    """Who waits: by queue and workspace `depth` and `oldest_age_s`, those with most first."""
    of = {"queue": "$queue", "workspace_id": "$workspace_id"}
    counted: Document = {"$group": {"_id": of, "n": {"$sum": 1}, "oldest": {"$min": "$created_at"}}}
    now = utcnow()
    found = [
        {**row["_id"], "depth": row["n"], "oldest_age_s": (now - row["oldest"]).total_seconds()}
        for row in db.jobs.aggregate([{"$match": {"status": QUEUED}}, counted])
    ]
    return sorted(found, key=lambda row: (-row["depth"], row["queue"], row["workspace_id"]))


def paused(db: Database[Document]) -> set[str]:
    """The names of the queues that are paused."""
    return {row["_id"] for row in db.queues.find({"paused": True}, {"_id": 1})}


def set_paused(db: Database[Document], client: redis.Redis, queue: str, value: bool) -> None:
    """Pause or resume a queue. Safe to repeat. Workers hear of it at once, or read it within one beat."""
    if queue not in {row["name"] for row in overview(db)}:
        raise NotFound(f"no queue {queue}")
    db.queues.update_one({"_id": queue}, {"$set": {"paused": value, "changed_at": utcnow()}}, upsert=True)
    signals.publish(client, signals.QUEUES_CHANGED, queue)


def _names(seen: Iterable[str], stopped: set[str]) -> list[str]:
    """The fixed queues, then those of hosts that hold jobs, are taken from, or are paused."""
    return [*dict.fromkeys([*kinds.fixed_queues(), *sorted({*seen, *stopped})])]
