"""Files of the drive beside agents' processes, for agents that say `drive_sync`: brought, and taken up."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from pymongo.database import Database
from pymongo.errors import PyMongoError

from core.config import Settings
from core.drive import installation, mirror
from core.drive.files import PRIVATE, Place
from core.drive.mirror import Mirror
from core.drive.offered import Offered
from core.drive.storage import Storage
from core.errors import Problem
from core.loop import Loop
from core.runtime import records
from core.runtime.documents import Record
from core.runtime.folder import Folder
from core.runtime.states import READY, STARTING, UNHEALTHY
from core.services import Send
from core.store import aside

Document = dict[str, Any]

LOOP = "drive sync"
LOOK_S = 2.0
A_LOOK = 50
"""So many files of one agent; then the others have their turn."""
SYNCED = (STARTING, READY, UNHEALTHY)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Sides:
    """Of one agent: what it sees, what it offers. `lock`: one at a time looks at them."""

    mirror: Mirror
    offered: Offered
    lock: threading.Lock = field(default_factory=threading.Lock)


class Sync:
    """Of the agents of one host. `root`: where it keeps them. `start` begins to look, in a thread."""

    def __init__(
        self, db: Database[Document], send: Send, settings: Settings, storage: Storage, root: Path
    ) -> None:
        self.db = db
        self.send = send
        self.settings = settings
        self.storage = storage
        self.root = root
        self._sides: dict[str, Sides] = {}
        self._lock = threading.Lock()
        self._loop = Loop(LOOP, self.look, LOOK_S, away=(PyMongoError,))

    def start(self) -> None:
        self._loop.start()

    def close(self) -> None:
        self._loop.close()

    def look(self) -> None:
        """At every running agent of this host. Raises `PyMongoError`.

        One of which nothing can be made, or that a disk refuses, keeps no other from its turn.
        """
        here = self._wanted(records.on_host(self.db, self.settings.worker_host))
        running = {agent_id: record for agent_id, record in here.items() if record.get("status") in SYNCED}
        with self._lock:
            self._sides = {agent_id: self._sides[agent_id] for agent_id in running if agent_id in self._sides}
        aside.each(self.db, LOOP, running.values(), self._look_at)

    def _look_at(self, record: Record) -> None:
        if not self._loop.closed.is_set():
            self._both(record, A_LOOK, A_LOOK)

    def of(self, record: Record) -> None:
        """Bring all files of an agent that has just started, if it says so. Raises `PyMongoError`."""
        for wanted in self._wanted([record]).values():
            self._both(wanted, mirror.MOST_FILES, 0)

    def _wanted(self, found: Iterable[Record]) -> dict[str, Record]:
        """Those that say `drive_sync`, by id."""
        by_id = {record["_id"]: record for record in found}
        saying = self.db.agents.find({"_id": {"$in": list(by_id)}, "drive_sync": True}, {"_id": 1})
        return {agent["_id"]: by_id[agent["_id"]] for agent in saying}

    def _both(self, record: Record, most_in: int, most_out: int) -> None:
        sides, settings = self._of(record), self.settings
        with sides.lock:
            try:
                sides.mirror.pull(most_in)
                sides.offered.push(
                    self.send,
                    largest=settings.drive_max_file_size,
                    quota_bytes=settings.drive_quota,
                    most=most_out,
                )
            except Problem as problem:
                log.warning("sync.failed", agent_id=record["_id"], problem=problem.code)

    def _of(self, record: Record) -> Sides:
        with self._lock:
            found = self._sides.get(record["_id"])
            if found is None:
                known = (self.db, self.storage, Folder(self.root / record["_id"]).box, self._place(record))
                found = self._sides[record["_id"]] = Sides(Mirror(*known), Offered(*known))
            return found

    def _place(self, record: Record) -> Place:
        return Place(
            workspace_id=record["workspace_id"],
            agent_id=record["_id"],
            visibility=PRIVATE,
            installation=installation.name(self.db),
            storage=self.storage.kind,
            host=self.settings.host_of("drive"),
        )
