"""The backlog: whose jobs wait in which queue, and since when.

Redis knows without counting. Its lanes may have been lost: while they hold few, or have not been there for
long, the documents are counted. To count 20,000 of them takes the embedded server most of a second.
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
WHOLE_S = 120
"""By then a pass of `core.jobs.overdue` has sent again what an emptied Redis has lost: 20,000 in 80 s."""

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
        if sum(n for n, _ in found.values()) > FEW and lanes.known_for_s() >= WHOLE_S:
            return found
    except redis.RedisError as error:
        log.warning("backlog.redis_away", error=type(error).__name__)
    return _counted(db)


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
