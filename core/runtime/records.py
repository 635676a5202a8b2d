"""Records: an agent's process as it is desired and as it was seen, one document each."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, cast

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from core.clock import utcnow
from core.ids import new_nonce
from core.runtime import states
from core.runtime.documents import Record
from core.runtime.states import STOPPED
from core.store.repeat import insert_once, update_once

Document = dict[str, Any]

EVENTS_KEPT = 100
SAMPLES_KEPT = 240
"""An hour of looks every 15 s."""
BULKY = ("health", "events", "spec", "good", "fallback")
LEAN = dict.fromkeys(BULKY, 0)
"""The projection without what only one agent's view shows."""
NO_PROCESS: Document = {
    "instance": None,
    "pid": None,
    "pid_started": None,
    "ready": False,
    "memory_mb": 0.0,
    "children": 0,
}


def find(db: Database[Document], agent_id: str, *, lean: bool = False) -> Record | None:
    """None for an agent that was never started."""
    return cast("Record | None", db.runtimes.find_one({"_id": agent_id}, LEAN if lean else None))


def get_or_born(db: Database[Document], workspace_id: str, agent_id: str) -> Record:
    """The record of an agent; a new one where there was none."""
    found = find(db, agent_id)
    if found is not None:
        return found
    record = born(workspace_id, agent_id)
    try:
        insert_once(db.runtimes, cast(Document, record))
    except DuplicateKeyError:
        return find(db, agent_id) or record
    return record


def born(workspace_id: str, agent_id: str) -> Record:
    """The record of an agent that was not started yet."""
    fields: Document = {
        "_id": agent_id,
        "workspace_id": workspace_id,
        "rev": 0,
        "written": "",
        "desired": "stopped",
        "asked": "",
        "purge": False,
        "status": STOPPED,
        "since": utcnow(),
        **NO_PROCESS,
        **dict.fromkeys(("host", "moved_from", "lost_at", "port", "started_at", "ready_at", "spec", "good")),
        **dict.fromkeys(("fallback", "restarted_by", "went_back", "retry_at", "last_error", "checked_at")),
        "listens": silent(agent_id),
        "failures": 0,
        "restarts": 0,
        "health": [],
        "events": [],
        "alerts_due": False,
        "told": 0,
    }
    return cast(Record, fields)


def silent(agent_id: str) -> str:
    """`listens` of an agent without a port: unique too, so that the index holds every record."""
    return f"none:{agent_id}"


def change(db: Database[Document], record: Record, **changes: Any) -> Record | None:
    """Set some fields if the record is still as it was read. None: somebody was faster.

    Raises `DuplicateKeyError` when another agent has that port.
    """
    return _swap(db, record, {"$set": changes})


def move(
    db: Database[Document], record: Record, status: str, *, why: str | None = None, **changes: Any
) -> Record | None:
    """The next state, with its event. None: somebody was faster. Raises as `change`, and `IllegalMove`."""
    states.check(record["status"], status)
    event = {"n": record["rev"] + 1, "at": utcnow(), "before": record["status"], "status": status, "why": why}
    update = {
        "$set": {"status": status, "since": event["at"], "alerts_due": True, **changes},
        "$push": {"events": {"$each": [event], "$slice": -EVENTS_KEPT}},
    }
    return _swap(db, record, update)


def sample(db: Database[Document], record: Record, *, ready: bool, memory_mb: float, children: int) -> None:
    """Note one look at the process of this record, unless another has taken its place."""
    now = utcnow()
    seen = {"ready": ready, "memory_mb": memory_mb, "children": children}
    look = {"at": now, **seen, "restarts": record["restarts"]}
    db.runtimes.update_one(
        {"_id": record["_id"], "instance": record["instance"]},
        {
            "$set": {**seen, "checked_at": now},
            "$push": {"health": {"$each": [look], "$slice": -SAMPLES_KEPT}},
        },
    )


def on_host(db: Database[Document], host: str) -> list[Record]:
    """All that belong to a host, whatever their state, without what is bulky."""
    return cast("list[Record]", list(db.runtimes.find({"host": host}, LEAN)))


def of_agents(db: Database[Document], ids: Iterable[str]) -> dict[str, Record]:
    """Those of these agents that were ever started, by id, without what is bulky."""
    found = cast("Iterable[Record]", db.runtimes.find({"_id": {"$in": list(ids)}}, LEAN))
    return {record["_id"]: record for record in found}


def running(db: Database[Document], workspace_id: str, only: Iterable[str] | None = None) -> list[Record]:
    """A workspace's running agents; `only` those of these ids."""
    wanted: Document = {"workspace_id": workspace_id, "status": {"$in": sorted(states.RUNNING)}}
    if only is not None:
        wanted["_id"] = {"$in": list(only)}
    return cast("list[Record]", list(db.runtimes.find(wanted, {"health": 0, "events": 0})))


def seconds_since(at: datetime | None) -> float:
    """How long ago; 0 for never."""
    return 0.0 if at is None else (utcnow() - at).total_seconds()


def _swap(db: Database[Document], record: Record, update: Document) -> Record | None:
    mark = new_nonce()
    update["$set"]["written"] = mark
    swapped = update_once(
        db.runtimes,
        {"_id": record["_id"], "rev": record["rev"]},
        {**update, "$inc": {"rev": 1}},
        was_mine=lambda found: found["written"] == mark,
    )
    return find(db, record["_id"], lean=True) if swapped else None
