"""The lease of a process: one document with a beat that is raised while the process lives.

When the reconciler has seen a beat stand still for a whole lease, it declares the process dead, in the
document. Nobody compares clocks. A process that finds itself declared dead ends itself.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from pymongo.database import Database

from core.clock import utcnow
from core.ids import new_id
from core.jobs.document import Process
from core.store.repeat import insert_once, update_once

Document = dict[str, Any]


def register(
    db: Database[Document],
    *,
    role: str,
    host: str,
    queues: list[str],
    slots: int,
    version: str,
    in_line: bool = False,
) -> str:
    """Enter this process among the living; its id. `in_line`: the jobs that it ends are to take places."""
    process: Process = {
        "_id": new_id(),
        "role": role,
        "queues": queues,
        "slots": slots,
        "version": version,
        "host": host,
        "pid": os.getpid(),
        "started_at": utcnow(),
        "renewed_at": utcnow(),
        "beat": 0,
        "dead": False,
        "stopped_at": None,
        "in_line": in_line,
        "entered": 0,
    }
    insert_once(db.processes, dict(process))
    return process["_id"]


def renew(
    db: Database[Document],
    process_id: str,
    *,
    finished_last_minute: int = 0,
    last_jobs: Sequence[str] = (),
    memory_bytes: int | None = None,
) -> bool:
    """Raise the beat. False: this process was declared dead (or forgotten) and must end."""
    alive = {"_id": process_id, "dead": False}
    seen = {
        "renewed_at": utcnow(),
        "finished_last_minute": finished_last_minute,
        "last_jobs": list(last_jobs),
        "memory_bytes": memory_bytes,
    }
    beat = {"$inc": {"beat": 1}, "$set": seen}
    return db.processes.update_one(alive, beat).matched_count == 1


def served(db: Database[Document]) -> set[str]:
    """The queues that living processes take from. A document that says it oddly serves none."""
    living = [process.get("queues") for process in db.processes.find({"dead": False}, {"queues": 1})]
    named = (queues for queues in living if isinstance(queues, list))
    return {queue for queues in named for queue in queues if isinstance(queue, str)}


def retire(db: Database[Document], process_id: str) -> None:
    """End the lease in good order: what this process still owns may be taken up at once."""
    db.processes.update_one(
        {"_id": process_id, "dead": False}, {"$set": {"dead": True, "stopped_at": utcnow()}}
    )


def declare_dead(db: Database[Document], process_id: str, beat: int) -> bool:
    """Declare a process dead, unless its beat has moved since it was read."""
    return update_once(
        db.processes,
        {"_id": process_id, "beat": beat, "dead": False},
        {"$set": {"dead": True, "declared_dead_at": utcnow()}},
        was_mine=lambda found: bool(found["dead"]),
    )
