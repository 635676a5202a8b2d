"""Roll-ups of the history: minutes from the batches, hours from the minutes; computed again and set.

A minute has two writers: the slot that ends with it says what was accepted and what waited, the batches say
what ended. Both are safe to repeat.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, cast

import redis
from pymongo import UpdateOne
from pymongo.collection import Collection
from pymongo.database import Database

from core.clock import utcnow
from core.history import points
from core.history.batches import LATEST, MINUTE
from core.history.documents import Batch, Point
from core.jobs import backlog
from core.jobs.model import MARK, RUNNING
from core.store import aside

Document = dict[str, Any]
Key = tuple[str, datetime]
"""A workspace or a queue, and a minute or an hour."""

HOUR = timedelta(hours=1)
MINUTES_KEPT = timedelta(days=2)
HOURS_KEPT = timedelta(days=100)
BATCHES_A_TICK = 2000
CLOSED = 10
"""Batches that are closed at once: each holds a second of a workspace's jobs, and is written anew."""
MINUTES = "%Y-%m-%dT%H:%M"


def tick(
    db: Database[Document], client: redis.Redis, slot: datetime, now: datetime | None = None
) -> Document:
    """A minute is over: what was accepted in it, what waits, and what has ended since the last tick."""
    at, now = (slot - MINUTE).replace(second=0, microsecond=0), now or utcnow()
    accepted = _accepted(db, at)
    # What waits is known for the present alone; a time that is caught up has none.
    waiting, by_queue = _open(db, client) if now - slot < MINUTE else ({}, {})
    known = {name: {**accepted.get(name, {}), **waiting.get(name, {})} for name in {*accepted, *waiting}}
    write(
        db.history_minutes, "workspace_id", {(name, at): found for name, found in known.items()}, MINUTES_KEPT
    )
    write(db.history_queues, "queue", {(name, at): found for name, found in by_queue.items()}, MINUTES_KEPT)
    return {"workspaces": len(known), "minutes": ended(db)}


def ended(db: Database[Document], *, limit: int = BATCHES_A_TICK) -> int:
    """Compute the minutes that open batches belong to; how many."""
    due = {"open": True, **aside.waiting(db, "history")}
    opened = db.history_batches.find(due, {"workspace_id": 1, "at": 1}).limit(limit)
    minutes = sorted(set(aside.each(db, "history", opened, _key)))
    computed = aside.each(db, "history", minutes, lambda minute: _minute(db, *minute), name=_name)
    queues = {at for _, at in minutes}
    aside.each(db, "history", queues, lambda at: _queues(db, at), name=lambda at: f"{at:{MINUTES}}")
    read = [batch for batches in computed for batch in batches]
    for n in range(0, len(read), CLOSED):
        db.history_batches.update_many({"_id": {"$in": read[n : n + CLOSED]}}, {"$set": {"open": False}})
    return len(computed)


def _key(batch: Mapping[str, Any]) -> Key:
    """Raises for a batch that does not say whose minute it is of."""
    if not isinstance(batch["workspace_id"], str) or not isinstance(batch["at"], datetime):
        raise TypeError("a batch is of a workspace and a minute")
    return batch["workspace_id"], batch["at"]


def _minute(db: Database[Document], workspace_id: str, at: datetime) -> list[str]:
    """Compute a workspace's minute; the ids of the batches that it was made of."""
    batches = _batches(db, {"workspace_id": workspace_id, "at": at})
    point = points.of_jobs(at, _jobs(batches))
    write(db.history_minutes, "workspace_id", {(workspace_id, at): point}, MINUTES_KEPT)
    return [batch["_id"] for batch in batches]


def _queues(db: Database[Document], at: datetime) -> None:
    write(db.history_queues, "queue", _finished(db, {at}), MINUTES_KEPT)


def _name(minute: Key) -> str:
    return f"{minute[0]}:{minute[1]:{MINUTES}}"


def hours(db: Database[Document], slot: datetime) -> Document:
    """The hours that may have changed: the one that ended with this slot, and what was late for before."""
    written = 0
    over = slot.replace(minute=0, second=0, microsecond=0)
    for at in (over - HOUR - LATEST, over - HOUR):
        by_workspace: dict[str, list[Point]] = {}
        for minute in db.history_minutes.find({"at": {"$gte": at, "$lt": at + HOUR}}).sort("at", 1):
            if isinstance(name := minute.get("workspace_id"), str):
                by_workspace.setdefault(name, []).append(cast(Point, minute))
        of_hour = [((name, at), of) for name, of in by_workspace.items()]
        merged = aside.each(
            db,
            "history_hours",
            of_hour,
            lambda one: (one[0], points.merged(one[0][1], one[1])),
            name=_of_hour,
        )
        written += write(db.history_hours, "workspace_id", dict(merged), HOURS_KEPT)
    return {"hours": written}


def _of_hour(one: tuple[Key, list[Point]]) -> str:
    return _name(one[0])


def _accepted(db: Database[Document], at: datetime) -> dict[str, Document]:
    """By workspace, those that accepted anything."""
    counted = ((one["_id"], _counted(db, one["_id"], at)) for one in db.workspaces.find({}, {"_id": 1}))
    return {name: {"accepted": n} for name, n in counted if n}


def _counted(db: Database[Document], workspace_id: str, at: datetime) -> int:
    """From one marked job to the next, 128 or so each time: while the embedded server counts the 6,000 of a
    busy minute, which takes it half a second, it lets nobody else at the jobs."""
    whose = {"workspace_id": workspace_id}
    marked = {**whose, "known_as": MARK, "created_at": {"$gte": at, "$lt": at + MINUTE}}
    edges = [at, *sorted(job["created_at"] for job in db.jobs.find(marked, {"created_at": 1})), at + MINUTE]
    return sum(
        db.jobs.count_documents({**whose, "created_at": {"$gte": since, "$lt": until}})
        for since, until in pairwise(edges)
    )


def _open(db: Database[Document], client: redis.Redis) -> tuple[dict[str, Document], dict[str, Document]]:
    """What waits and runs now: by workspace, and by queue."""
    waiting = {where: n for where, (n, _) in backlog.read(db, client).items()}
    running = {where: row["n"] for where, row in backlog.grouped(db, RUNNING, {"n": {"$sum": 1}})}
    by_workspace: dict[str, Document] = {}
    by_queue: dict[str, Document] = {}
    for where in {*waiting, *running}:
        queue, workspace_id = where
        of, at = by_workspace.setdefault(workspace_id, Counter()), by_queue.setdefault(queue, Counter())
        of.update(queued=waiting.get(where, 0), running=running.get(where, 0))
        at.update(depth=waiting.get(where, 0), running=running.get(where, 0))
    return by_workspace, by_queue


def _finished(db: Database[Document], minutes: set[datetime]) -> dict[Key, Document]:
    """How many jobs of each queue ended in these minutes, whosever they were."""
    found: dict[Key, Document] = {}
    for at in minutes:
        queue_of = {job["id"]: job["queue"] for job in _jobs(_batches(db, {"at": at}))}
        for queue in queue_of.values():
            found.setdefault((queue, at), {"finished": 0})["finished"] += 1
    return found


def _batches(db: Database[Document], wanted: Document) -> list[Batch]:
    return cast("list[Batch]", list(db.history_batches.find(wanted)))


def _jobs(batches: list[Batch]) -> list[Any]:
    return [job for batch in batches for job in batch["jobs"]]


def write(
    collection: Collection[Document], of: str, found: Mapping[Key, Mapping[str, Any]], kept: timedelta
) -> int:
    """Set these fields of the points; others stay as they are. Safe to repeat."""
    writes = [
        UpdateOne(
            {"_id": f"{name}:{at:{MINUTES}}"},
            {"$set": {**fields, of: name, "at": at, "expires_at": at + kept}},
            upsert=True,
        )
        for (name, at), fields in found.items()
    ]
    if writes:
        collection.bulk_write(writes, ordered=False)
    return len(writes)
