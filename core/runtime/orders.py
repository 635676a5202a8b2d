"""Orders: what a user wants of an agent's process, written down before anything is done about it.

The last order stands, whichever is carried out first: they are told apart by their jobs' ids, which sort by
time. Its host carries it out; should the order's job be lost, the host finds what is desired all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pymongo.database import Database

from core.clock import utcnow
from core.errors import Conflict
from core.runtime import instance_keys, placement, records
from core.runtime.documents import Record
from core.runtime.states import READY, RUNNING, STARTING, UNHEALTHY

Document = dict[str, Any]

TRIES = 20
NO_HOST = "it waits for a host: none that runs agents is alive (`python -m workers.main runtime`)"
STARTS = ("agent_start", "agent_restart")
SILENT = "its host {host} is silent"
ANEW = "it is started anew on another host"


def start(db: Database[Document], agent: Mapping[str, Any], job_id: str) -> Record:
    """It is to run; the record, whose `host` carries it out. Raises `Unavailable` where all hosts are full.

    Where none is alive, the order waits for one, in words.
    """

    def ordered(record: Record) -> Record | None:
        wanted: Document = {"desired": "running", "asked": job_id, "purge": False}
        host = placement.choose(db, record)
        if host is None:
            return records.change(db, record, last_error=NO_HOST, **wanted)
        return _placed(db, record, host, **wanted)

    return _written(db, agent, job_id, ordered)


def stop(db: Database[Document], agent: Mapping[str, Any], job_id: str, *, purge: bool = False) -> Record:
    """It is to rest. The key of a process whose host is silent ends now: nobody is there to end it."""

    def ordered(record: Record) -> Record | None:
        return records.change(db, record, desired="stopped", asked=job_id, purge=purge or record["purge"])

    record = _written(db, agent, job_id, ordered)
    if record["host"] not in placement.alive(db):
        instance_keys.end(db, record["workspace_id"], record["_id"])
    return record


def message(db: Database[Document], agent: Mapping[str, Any]) -> Record:
    """The record of an agent that can be talked to. Raises `Conflict`."""
    record = records.find(db, agent["_id"], lean=True)
    if record is None or record["desired"] != "running" or record["status"] not in RUNNING:
        raise Conflict("this agent does not run: start it first", code="not_running")
    return record


def check_at_rest(db: Database[Document], agent: Mapping[str, Any]) -> None:
    """Raises `Conflict` for an agent that runs; whoever was told to stop on a silent host is at rest."""
    record = records.find(db, agent["_id"], lean=True)
    if record is None or record["status"] not in RUNNING:
        return
    if record["desired"] == "running" or record["lost_at"] is None:
        raise Conflict(f"this agent is {record['status']}: stop it first", code="running")


def forget(db: Database[Document], agent_id: str) -> None:
    """The agent is gone: its host removes what is left of it on disk, then the record."""
    record = records.find(db, agent_id, lean=True)
    if record is None:
        return
    if record["host"] is None:
        db.runtimes.delete_one({"_id": agent_id})
    else:
        gone = {"$set": {"purge": True, "desired": "stopped"}, "$inc": {"rev": 1}}
        db.runtimes.update_one({"_id": agent_id}, gone)


def place(db: Database[Document], agent_id: str, kind: str) -> str | None:
    """The host for an order whose own host is gone; None: there is none yet."""
    living = placement.alive(db)
    record = records.find(db, agent_id, lean=True)
    if record is None or record["host"] in living:
        return record["host"] if record else min(living, default=None)
    if kind in STARTS and record["desired"] == "running":
        host = placement.choose(db, record)
        placed = host and _placed(db, record, host)
        return placed["host"] if placed else None
    return min(living, default=None)  # to say in words that the agent's host is silent


def lose(db: Database[Document], record: Record, why: str) -> Record | None:
    """Its host is silent: nobody knows what became of its process."""
    lost = {"lost_at": record["lost_at"] or utcnow(), "ready": False, "last_error": why}
    if record["status"] in (STARTING, READY):
        return records.move(db, record, UNHEALTHY, why=why, **lost)
    return records.change(db, record, **lost)


def _placed(db: Database[Document], record: Record, host: str, **changes: Any) -> Record | None:
    """On this host from now on. A process that it had on another is nobody's any more."""
    changes |= placement.moved(record, host)
    if record["host"] in (None, host) or record["status"] not in RUNNING:
        return records.change(db, record, **changes)
    instance_keys.end(db, record["workspace_id"], record["_id"])
    lost: Record | None = record
    if record["status"] in (STARTING, READY):
        lost = lose(db, record, SILENT.format(host=record["host"]))
    return lost and records.move(db, lost, STARTING, why=ANEW, **changes)


def _written(
    db: Database[Document],
    agent: Mapping[str, Any],
    job_id: str,
    ordered: Callable[[Record], Record | None],
) -> Record:
    """Carry out a change on the record as it is now, unless a later order stands already."""
    for _ in range(TRIES):
        record = records.get_or_born(db, agent["workspace_id"], agent["_id"])
        if record["asked"] > job_id:
            return record
        if (written := ordered(record)) is not None:
            return written
    raise Conflict("this agent is being started and stopped by several requests at once; try again")
