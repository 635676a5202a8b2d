"""Queues: how deep each is, and pausing one. A paused queue keeps its jobs; workers take none of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import redis
from pymongo.database import Database

from core.clock import utcnow
from core.errors import NotFound
from core.jobs import backlog, kinds, signals
from core.jobs.backlog import Backlog
from core.jobs.model import RUNNING

Document = dict[str, Any]


def overview(db: Database[Document], client: redis.Redis) -> list[Document]:
    """Per queue: jobs waiting and running, the oldest waiting one's age, jobs ended in the last minute.

    `waiting`: for admins, whose they are: `workspace_id`, `depth` and `oldest_age_s`, those with most first.
    """
    waiting = backlog.read(db, client)
    running: Counter[str] = Counter()
    for (queue, _), row in backlog.grouped(db, RUNNING, {"n": {"$sum": 1}}):
        running[queue] += row["n"]
    workers = list(db.processes.find({"dead": False}))
    stopped = paused(db)
    seen = [*(queue for queue, _ in waiting), *running, *(q for w in workers for q in w["queues"])]
    return [
        {
            "name": queue,
            "paused": queue in stopped,
            **_waits(waiting, queue=queue),
            "running": running[queue],
            "finished_last_minute": sum(
                w.get("finished_last_minute", 0) for w in workers if queue in w["queues"]
            ),
            "workers": sum(queue in w["queues"] for w in workers),
            "waiting": _whose(waiting, queue),
        }
        for queue in _names(seen, stopped)
    ]


def waiting(db: Database[Document], client: redis.Redis, workspace_id: str) -> Document:
    """Of one workspace, over all queues: `depth`, and `oldest_age_s` (None: nothing waits)."""
    return _waits(backlog.read(db, client), workspace_id=workspace_id)


def paused(db: Database[Document]) -> set[str]:
    """The names of the queues that are paused."""
    return {row["_id"] for row in db.queues.find({"paused": True}, {"_id": 1})}


def set_paused(db: Database[Document], client: redis.Redis, queue: str, value: bool) -> None:
    """Pause or resume a queue. Safe to repeat. Workers hear of it at once, or read it within one beat."""
    if queue not in {row["name"] for row in overview(db, client)}:
        raise NotFound(f"no queue {queue}")
    db.queues.update_one({"_id": queue}, {"$set": {"paused": value, "changed_at": utcnow()}}, upsert=True)
    signals.publish(client, signals.QUEUES_CHANGED, queue)


def _names(seen: Iterable[str], stopped: set[str]) -> list[str]:
    """The fixed queues, then those of hosts that hold jobs, are taken from, or are paused."""
    return [*dict.fromkeys([*kinds.fixed_queues(), *sorted({*seen, *stopped})])]


def _waits(waiting: Backlog, queue: str | None = None, workspace_id: str | None = None) -> Document:
    """Of a queue, of a workspace, or of both: how many wait, and for how long the oldest does, in seconds."""
    found = [
        one
        for (where, whose), one in waiting.items()
        if queue in (None, where) and workspace_id in (None, whose)
    ]
    oldest = min((at for _, at in found), default=None)
    age = None if oldest is None else (utcnow() - oldest).total_seconds()
    return {"depth": sum(n for n, _ in found), "oldest_age_s": age}


def _whose(waiting: Backlog, queue: str) -> list[Document]:
    found = [
        {"workspace_id": whose, **_waits(waiting, queue, whose)} for where, whose in waiting if where == queue
    ]
    return sorted(found, key=lambda row: (-row["depth"], row["workspace_id"]))
