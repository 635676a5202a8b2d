"""The scheduler's look at agents' hosts: whoever is silent is lost, and so are its agents. In words.

Each host looks after its own agents; this does what no host can do for itself. Run by the leader alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import structlog
from pymongo.database import Database

from core.clock import rfc3339
from core.runtime import alerts, instance_keys, orders, placement, records
from core.runtime.documents import Record
from core.runtime.states import RUNNING
from core.store import aside

Document = dict[str, Any]

LOOP = "runtimes"
ANEW = "start it anew to place it on another"

log = structlog.get_logger(__name__)


class Poll:
    """One tick after another; between them it remembers since when each host has had no worker.

    A worker that was declared dead has been silent for a whole lease. One that left in good order is given
    `patience_s` to be followed by the next, as when it is restarted.
    """

    def __init__(
        self,
        db: Database[Document],
        *,
        patience_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.db = db
        self.patience_s = patience_s
        self.monotonic = monotonic
        self._left: dict[str, float] = {}

    def tick(self) -> Document:
        """What was done, by name."""
        return {"lost": self._lose_agents(), "keys_ended": self._end_keys(), **alerts.tick(self.db)}

    def _lose_agents(self) -> int:
        """Agents of silent hosts, whose processes nobody looks after."""
        living, lost = placement.alive(self.db), 0
        for host in [found["_id"] for found in self.db.runtime_hosts.find({}, {"_id": 1})]:
            if host in living:
                self._left.pop(host, None)
            elif self._silent(host):
                lost += sum(aside.each(self.db, LOOP, records.on_host(self.db, host), self._lose))
        return lost

    def _silent(self, host: str) -> bool:
        since = self._left.setdefault(host, self.monotonic())
        last = self.db.processes.find_one({"role": placement.ROLE, "host": host}, sort=[("started_at", -1)])
        left_in_order = last is not None and last.get("stopped_at") is not None
        return not left_in_order or self.monotonic() - since >= self.patience_s

    def _lose(self, record: Record) -> bool:
        host = record["host"]
        if record["lost_at"] is not None or record["status"] not in RUNNING:
            return False
        seen = self.db.runtime_hosts.find_one({"_id": host}) or {}
        why = f"{orders.SILENT.format(host=host)} since {rfc3339(seen.get('seen_at'))}: {ANEW}"
        log.warning("runtime.lost", agent_id=record["_id"], host=host)
        return orders.lose(self.db, record, why) is not None

    def _end_keys(self) -> int:
        """Keys of instances that are gone, which a crash left behind."""
        theirs = self.db["keys"].find({"role": instance_keys.ROLE})
        return sum(aside.each(self.db, LOOP, theirs, self._end_key))

    def _end_key(self, key: Document) -> int:
        record = records.find(self.db, key["agents"][0], lean=True)
        if record is not None and record["instance"] == key["instance"]:
            return 0
        return self.db["keys"].delete_one({"_id": key["_id"]}).deleted_count
