"""Placement: which hosts are alive, what room each has, and where an agent goes."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

from pymongo.database import Database

from core.clock import utcnow
from core.errors import Unavailable
from core.runtime import records
from core.runtime.documents import HostDocument, Record
from core.runtime.records import NO_PROCESS

Document = dict[str, Any]

ROLE = "runtime"
AGENT_MB = 1200
"""What a gateway takes: 700 to 785 MB idle with two workers of 166, 1.1 GB at its first turn (measured)."""
TRIES = 20


def alive(db: Database[Document]) -> set[str]:
    """The hosts whose runtime worker lives, as its lease tells."""
    found = db.processes.find({"dead": False, "role": ROLE}, {"host": 1})
    return {host for process in found if isinstance(host := process.get("host"), str)}


def describe(
    db: Database[Document], host: str, *, capacity: int | None, free_mb: float, used_mb: float, agents: int
) -> None:
    """A host tells what it can take. `used_mb`: by its agents; without a `capacity` memory sets the limit."""
    fits = int((free_mb + used_mb) // AGENT_MB)
    described = {
        "capacity": fits if capacity is None else capacity,
        "memory_free_mb": free_mb,
        "agents": agents,
        "seen_at": utcnow(),
    }
    db.runtime_hosts.update_one({"_id": host}, {"$set": described}, upsert=True)


def rooms(db: Database[Document]) -> dict[str, tuple[int, float]]:
    """For each live host: how many more agents it takes, and its free memory in MB."""
    living = alive(db)
    wanted = db.runtimes.find({"desired": "running", "host": {"$in": sorted(living)}}, {"host": 1})
    given = Counter(record["host"] for record in wanted)
    found = cast("list[HostDocument]", list(db.runtime_hosts.find({"_id": {"$in": sorted(living)}})))
    return {host["_id"]: (host["capacity"] - given[host["_id"]], host["memory_free_mb"]) for host in found}


def choose(db: Database[Document], record: Record) -> str | None:
    """The host for an agent that is to run: where it runs, or ran last, if that is alive and has room.

    Otherwise the live one with the most room; None: none is alive. Raises `Unavailable` where all are full.
    """
    room = rooms(db)
    own = record["host"]
    if own in room and (record["desired"] == "running" or room[own][0] > 0):
        return own
    if not room:
        return None
    host = max(sorted(room), key=lambda name: room[name])
    if room[host][0] <= 0:
        full = ", ".join(sorted(room))
        raise Unavailable(f"no host has room for another agent: {full}", code="no_room")
    return host


def carrier(db: Database[Document], record: Record) -> str | None:
    """The host that carries an order out: the agent's, or, where that is silent, one that can say so."""
    living = alive(db)
    return record["host"] if record["host"] in living else min(living, default=record["host"])


def moved(record: Record, host: str) -> Document:
    """What changes on a record that goes to a host. OpenClaw's own state stays where it was."""
    if record["host"] in (None, host):
        return {"host": host}
    return {
        **NO_PROCESS,
        "host": host,
        "moved_from": record["host"],
        "lost_at": None,
        "port": None,
        "listens": records.silent(record["_id"]),
    }
