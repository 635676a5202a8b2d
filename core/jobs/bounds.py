"""Bounds: `max_running` of workspaces, keys and agents: how many of their jobs may run at the same time.

A process remembers all bounds, so that a job without one costs nothing. It does not begin what it knows to be
above; what several processes began together is told by the documents, after the claim.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from pymongo.database import Database

from core.jobs import kinds
from core.jobs.document import Job
from core.jobs.lanes import Ticket, scope, ticket
from core.jobs.model import RUNNING
from core.store import aside

Document = dict[str, Any]

FIELDS = {"workspace": "workspace_id", "key": "created_by", "agent": "agent_id"}
"""What a job has of each kind of scope."""
LOOP = "bounds"
KNOWN_S = 0.25


class Bounds:
    """The bounds as they were last read."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._most: dict[str, int] = {}
        self._elsewhere: dict[str, tuple[int, float]] = {}
        self.monotonic = monotonic

    def read(self, db: Database[Document]) -> list[str]:
        """Read them again. Returns the scopes that may have more than before."""
        bound: Document = {"max_running": {"$gte": 1}}
        found = {
            "workspace": db.workspaces.find(bound),
            "agent": db.agents.find(bound, {"workspace_id": 1, "max_running": 1}),
            "key": db["keys"].find(bound).sort("created_at", 1),  # of those that count as one, the last
        }
        most: dict[str, int] = {}
        for kind, documents in found.items():
            most.update(aside.each(db, LOOP, documents, partial(_bound, kind)))
        before, self._most = self._most, most
        return [name for name, n in before.items() if most.get(name, n + 1) > n]

    def of(self, waiting: Ticket) -> list[tuple[str, int]]:
        """The scopes of this job that have a bound, and the bound."""
        if not self._most or waiting.queue not in bounded_queues():
            return []
        return [(name, self._most[name]) for name in waiting.scopes if name in self._most]

    def full(self, waiting: Ticket, here: Callable[[str], int]) -> str | None:
        """The scope that has no place for one more. `here`: how many of it this process has under way."""
        for name, most in self.of(waiting):
            elsewhere, until = self._elsewhere.get(name, (0, 0.0))
            if here(name) + (elsewhere if self.monotonic() < until else 0) >= most:
                return name
        return None

    def reached(self, db: Database[Document], job: Job) -> str | None:
        """The scope of a job that waits which has as many running as it may, by the documents."""
        for name, most in self.of(ticket(job)):
            if len(_owners(db, name)) >= most:
                return name
        return None

    def exceeded(self, db: Database[Document], job: Job) -> str | None:
        """The scope of which more jobs run than may, this one among them."""
        for name, most in self.of(ticket(job)):
            owners = _owners(db, name)
            elsewhere = len(owners) - owners.count(job["owner"])
            self._elsewhere[name] = elsewhere, self.monotonic() + KNOWN_S
            if len(owners) > most:
                return name
        return None


def _bound(kind: str, found: Document) -> tuple[str, int]:
    """The scope of a workspace, an agent or a key, and its bound."""
    workspace_id = found["_id"] if kind == "workspace" else found["workspace_id"]
    return scope(kind, workspace_id, found.get("counts_as") or found["_id"]), found["max_running"]


def bounded_queues() -> list[str]:
    """Those of kinds that ask providers. A message to an agent's process waits for what that process asks."""
    asking = {kind.queue for kind in kinds.KINDS.values() if kind.budgeted}
    return sorted(asking | {kinds.ISOLATION})


def _owners(db: Database[Document], name: str) -> list[str | None]:
    """The process of each job of a scope that runs.

    All that run are read, as many as there are slots: the embedded server would look at all jobs for more.
    """
    kind, _, found = name.partition("/")[2].partition(":")
    field, queues = FIELDS[kind], bounded_queues()
    running = db.jobs.find({"status": RUNNING}, {"owner": 1, "queue": 1, field: 1})
    return [job["owner"] for job in running if job[field] == found and job["queue"] in queues]
