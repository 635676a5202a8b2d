"""Every index, in one table. Each slows every write of its collection: at most five of all jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.database import Database

from core.store import marks

Document = dict[str, Any]

LISTS: dict[str, list[tuple[str, ...]]] = {
    "agents": [("workspace_id",)],
    "audit_log": [("workspace_id",)],
    "conversation_turns": [("conversation",)],
    "conversations": [("agent_id",)],
    "credentials": [("workspace_id",)],
    "deliveries": [("workspace_id",)],
    "drive_files": [("workspace_id", "state")],
    "jobs": [("workspace_id",), ("workspace_id", "known_as")],
    "keys": [("workspace_id",)],
    "managed_overage": [("workspace_id", "month")],
    "workspaces": [("all",)],
}
"""What lists are read by, newest first: an index begins with these fields, and then has `created_at`. The
first is that of the index `listed`; the last that fits is the best."""
EXPIRING_INDEX = "expiring"


def _by(fields: Sequence[str], name: str, **options: Any) -> IndexModel:
    equal = [(field, ASCENDING) for field in fields]
    return IndexModel([*equal, ("created_at", DESCENDING)], name=name, **options)


def _listed(collection: str) -> IndexModel:
    return _by(LISTS[collection][0], "listed")


def _marked(collection: str) -> IndexModel:
    """Of `core.store.marks`: of one document among 128 alone."""
    fields = (*LISTS[collection][0], marks.FIELD)
    return _by(fields, "marked", partialFilterExpression={marks.FIELD: True})


def _expiring() -> IndexModel:
    """By it `core.retention` finds what is over. Not with `expireAfterSeconds`: for that the embedded server
    reads all of a collection each minute, and serves nobody meanwhile (1 s of 20,000 documents)."""
    return IndexModel([("expires_at", ASCENDING)], name=EXPIRING_INDEX)


def _bounded() -> IndexModel:
    return IndexModel([("max_running", ASCENDING)], name="bounded")


INDEXES: dict[str, list[IndexModel]] = {
    "jobs": [
        _listed("jobs"),
        IndexModel([("status", ASCENDING), ("send_after", ASCENDING)], name="open"),
        IndexModel(
            [("workspace_id", ASCENDING), ("idempotency.route", ASCENDING), ("idempotency.key", ASCENDING)],
            name="idempotent",
            unique=True,
            # Most jobs have no key. Not `$exists`, of which the embedded server makes no use: a look at
            # 20,000 jobs took 1,500 ms, not 0.7. Asked for a key without both fields before it, that server
            # finds nothing; for several keys, it reads all jobs.
            partialFilterExpression={"idempotency.key": {"$gt": ""}},
        ),
        # Of jobs that are due, and of those with a place, which keep it.
        IndexModel([("meter", ASCENDING)], name="metered", partialFilterExpression={"meter": {"$gt": ""}}),
        # By the id of a request, ours or a provider's, and by marks: one index for all, since that server
        # reads its catalog seven times for an update, and each time all indexes of the collection.
        _by(("workspace_id", "known_as"), "known"),
    ],
    "conversations": [
        IndexModel([("agent_id", ASCENDING), ("name", ASCENDING)], name="named", unique=True),
        _listed("conversations"),
        _marked("conversations"),
    ],
    "conversation_turns": [_listed("conversation_turns")],
    "deliveries": [
        IndexModel([("state", ASCENDING), ("next_at", ASCENDING)], name="due"),
        _listed("deliveries"),
    ],
    "token_usage": [
        IndexModel([("workspace_id", ASCENDING), ("date", ASCENDING)], name="by_workspace"),
        IndexModel([("agent_id", ASCENDING), ("date", ASCENDING)], name="by_agent"),
        # Beside `by_workspace`, not as its third field: with one more behind it, the embedded server finds
        # nothing for a range of dates.
        IndexModel([("workspace_id", ASCENDING), ("timestamp", ASCENDING)], name="by_time"),
    ],
    "usage_recent": [
        IndexModel([("open", ASCENDING)], name="open"),
        IndexModel([("workspace_id", ASCENDING), ("date", ASCENDING)], name="by_day"),
        IndexModel([("date", ASCENDING)], name="by_date"),
    ],
    "usage_days": [
        IndexModel([("open", ASCENDING), ("workspace_id", ASCENDING)], name="open"),
        IndexModel([("workspace_id", ASCENDING), ("date", ASCENDING)], name="by_workspace"),
    ],
    "usage_months": [
        IndexModel([("open", ASCENDING), ("workspace_id", ASCENDING)], name="open"),
        IndexModel([("stated", ASCENDING)], name="unstated", partialFilterExpression={"stated": False}),
    ],
    "statements": [IndexModel([("workspace_id", ASCENDING), ("month", ASCENDING)], name="by_month")],
    "usage_allowances": [
        IndexModel([("open", ASCENDING)], name="open"),
        IndexModel([("workspace_id", ASCENDING), ("month", ASCENDING)], name="by_workspace"),
    ],
    "usage_daily": [
        IndexModel([("workspace_id", ASCENDING), ("date", ASCENDING)], name="by_workspace"),
        IndexModel([("agent_id", ASCENDING), ("date", ASCENDING)], name="by_agent"),
    ],
    "usage_monthly": [
        IndexModel([("workspace_id", ASCENDING), ("month", ASCENDING)], name="by_workspace"),
        IndexModel([("agent_id", ASCENDING), ("month", ASCENDING)], name="by_agent"),
    ],
    "usage_quarters": [
        IndexModel([("workspace_id", ASCENDING), ("date", ASCENDING)], name="by_day"),
        IndexModel(
            [("workspace_id", ASCENDING), ("agent_id", ASCENDING), ("date", ASCENDING)], name="by_agent"
        ),
    ],
    "usage_keys": [
        IndexModel([("workspace_id", ASCENDING), ("date", ASCENDING)], name="by_day"),
        IndexModel([("key_id", ASCENDING), ("date", ASCENDING)], name="by_key"),
    ],
    "managed_overage": [
        IndexModel([("agent_id", ASCENDING), ("tier", ASCENDING), ("month", ASCENDING)], name="by_agent"),
        _listed("managed_overage"),
    ],
    "history_batches": [
        IndexModel([("open", ASCENDING)], name="open"),
        IndexModel([("at", ASCENDING), ("workspace_id", ASCENDING)], name="by_minute"),
        _expiring(),
    ],
    "history_minutes": [
        IndexModel([("workspace_id", ASCENDING), ("at", ASCENDING)], name="by_workspace"),
        IndexModel([("at", ASCENDING)], name="by_minute"),
        _expiring(),
    ],
    "history_hours": [
        IndexModel([("workspace_id", ASCENDING), ("at", ASCENDING)], name="by_workspace"),
        _expiring(),
    ],
    "history_queues": [IndexModel([("queue", ASCENDING), ("at", ASCENDING)], name="by_queue"), _expiring()],
    "budgets": [IndexModel([("open", ASCENDING), ("key_id", ASCENDING)], name="open")],
    "workspace_prices": [IndexModel([("workspace_id", ASCENDING)], name="by_workspace")],
    "agents": [
        IndexModel([("workspace_id", ASCENDING), ("name", ASCENDING)], name="named", unique=True),
        _listed("agents"),
        _bounded(),
    ],
    "runtimes": [
        IndexModel([("host", ASCENDING)], name="on_host"),
        IndexModel([("workspace_id", ASCENDING), ("status", ASCENDING)], name="by_workspace"),
        # No port twice on a machine. Not partial, as that of idempotency keys: each record has a mark in it.
        IndexModel([("listens", ASCENDING)], name="listens", unique=True),
        IndexModel([("alerts_due", ASCENDING)], name="alerts_due"),
    ],
    "workspaces": [_listed("workspaces"), _bounded()],
    "keys": [_listed("keys"), _bounded(), IndexModel([("role", ASCENDING)], name="by_role")],
    "credentials": [_listed("credentials")],
    "sessions": [_expiring()],
    "aside": [IndexModel([("loop", ASCENDING), ("next_at", ASCENDING)], name="by_loop"), _expiring()],
    "drive_files": [
        _listed("drive_files"),
        IndexModel([("workspace_id", ASCENDING), ("path", ASCENDING)], name="by_path"),
        IndexModel([("state", ASCENDING), ("updated_at", ASCENDING)], name="by_state"),
        IndexModel([("upload_id", ASCENDING)], name="by_upload"),
    ],
    "drive_uploads": [
        IndexModel([("workspace_id", ASCENDING), ("key", ASCENDING)], name="arriving", unique=True)
    ],
    "audit_log": [
        _listed("audit_log"),
        _marked("audit_log"),
        _expiring(),
    ],
}

EXPIRING = tuple(
    name for name, made in INDEXES.items() if any(one.document["name"] == EXPIRING_INDEX for one in made)
)
"""Collections of which a document goes at its `expires_at`."""


def ensure(db: Database[Document]) -> None:
    """Make the indexes that are missing; harmless when they are there."""
    for collection, indexes in INDEXES.items():
        db[collection].create_indexes(indexes)


def index_for(collection: str, query: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields of `LISTS` by which this query's list is read. Raises `LookupError`: no index serves it."""
    for fields in reversed(LISTS[collection]):
        if all(name in query and _knows(query[name]) for name in fields):
            return fields
    raise LookupError(f"{collection} is read by {LISTS[collection]}, not by {list(query)}")


def _knows(asked: Any) -> bool:
    return not isinstance(asked, Mapping) or set(asked) == {"$all"}
