"""The backlog: whose jobs wait in which queue, and since when.

Redis knows without counting. Its lanes may have been lost: while they hold few, the documents are counted,
which for few is quick. To count 20,000 of them takes the embedded server most of a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import redis
import structlog
from pymongo.database import Database

from core.jobs.lanes import Lanes
from core.jobs.model import QUEUED

Document = dict[str, Any]
Waiting = tuple[int, datetime]
"""How many wait, and when the oldest of them was made."""
Backlog = Mapping[tuple[str, str], Waiting]
"""By queue and workspace."""

FEW = 1000

log = structlog.get_logger(__name__)


def read(db: Database[Document], client: redis.Redis) -> Backlog:
    """Whoever waits."""
    try:
        lanes = Lanes(client)
        found = {
            (queue, workspace_id): waiting
            for queue in lanes.queues()
            for workspace_id, waiting in lanes.waiting(queue).items()
        }
    except redis.RedisError as error:
        log.warning("backlog.redis_away", error=type(error).__name__)
        found = {}
    return found if sum(n for n, _ in found.values()) > FEW else _counted(db)


def _counted(db: Database[Document]) -> Backlog:
    counts: Document = {"n": {"$sum": 1}, "oldest": {"$min": "$created_at"}}
    return {where: (row["n"], row["oldest"]) for where, row in grouped(db, QUEUED, counts)}


def grouped(
    db: Database[Document], status: str, counts: Document
) -> Iterator[tuple[tuple[str, str], Document]]:
    """What `counts`, accumulators by name, say of all jobs of a state, by queue and workspace."""
    of = {"queue": "$queue", "workspace_id": "$workspace_id"}
    for row in db.jobs.aggregate([{"$match": {"status": status}}, {"$group": {"_id": of, **counts}}]):
        where, whose = row["_id"].get("queue"), row["_id"].get("workspace_id")
        if isinstance(where, str) and isinstance(whose, str):  # else no code of ours made it
            yield (where, whose), row
