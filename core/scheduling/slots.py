"""Slots: a tick of a minute or longer happens once for each of its times, also when all schedulers were down.

Each slot is a document with an id of its own, `name@time`: whoever inserts it carries it out. One that a dead
leader left unfinished is done again by the next, so an effect is either safe to repeat (computed and set) or
an insert under the slot's id. A slot that was missed is caught up, oldest first.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from core.clock import utcnow

Document = dict[str, Any]
Effect = Callable[[datetime], Document]
"""Carries out a slot, given its time; returns what it did, by name."""

CAUGHT_UP_AT_ONCE = 60
TRIES = 5
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)

log = structlog.get_logger(__name__)


class Slots:
    """The slots of one tick. `me`: this process; only the leader calls `run`."""

    def __init__(
        self,
        db: Database[Document],
        name: str,
        every: timedelta,
        effect: Effect,
        *,
        me: str,
        now: Callable[[], datetime] = utcnow,
    ) -> None:
        self.db = db
        self.name = name
        self.every = every
        self.effect = effect
        self.me = me
        self.now = now

    def run(self) -> Document | None:
        """Carry out what is due, a bounded number of slots; what the last one did, None: nothing was due."""
        done = None
        current = self._floor(self.now())
        slot = self._done_through(current) + self.every
        for _ in range(CAUGHT_UP_AT_ONCE):
            if slot > current:
                break
            if self._claim(slot):
                done = self._carry_out(slot)
            elif self._under_way(slot):
                break  # another leader's; should it die as well, the slot is still to be had
            self._advance(slot)
            slot += self.every
        return done

    def _floor(self, at: datetime) -> datetime:
        return EPOCH + (at - EPOCH) // self.every * self.every

    def _done_through(self, current: datetime) -> datetime:
        """The last slot that is done; a tick that never ran begins with the current one."""
        first = {"done_through": current - self.every}
        self.db.ticks.update_one({"_id": self.name, "done_through": {"$exists": False}}, {"$set": first})
        tick = self.db.ticks.find_one({"_id": self.name})
        if tick is None:
            try:
                self.db.ticks.insert_one({"_id": self.name, **first})
            except DuplicateKeyError:
                log.debug("slot.tick_made_twice", tick=self.name)
            return current - self.every
        through: datetime = tick["done_through"]
        return through

    def _claim(self, slot: datetime) -> bool:
        """False: it is done, or somebody else took it over just now."""
        mine = {"_id": self._id(slot), "tick": self.name, "at": slot, "by": self.me, "state": "running"}
        try:
            self.db.slots.insert_one({**mine, "tries": 1, "started_at": utcnow()})
        except DuplicateKeyError:
            there = self.db.slots.find_one({"_id": self._id(slot)})
            if there is None or there["state"] != "running":
                return False
            unchanged = {"_id": self._id(slot), "state": "running", "tries": there["tries"]}
            again = {"$set": {"by": self.me}, "$inc": {"tries": 1}}
            if self.db.slots.update_one(unchanged, again).matched_count != 1:
                return False
            if there["tries"] >= TRIES:
                log.error("slot.given_up", slot=self._id(slot), tries=there["tries"])
                self._finish(slot, "failed", {})
                return False
        return True

    def _under_way(self, slot: datetime) -> bool:
        return self.db.slots.find_one({"_id": self._id(slot), "state": "running"}) is not None

    def _carry_out(self, slot: datetime) -> Document:
        done = self.effect(slot)
        self._finish(slot, "done", done)
        return done

    def _finish(self, slot: datetime, state: str, done: Document) -> None:
        self.db.slots.update_one(
            {"_id": self._id(slot), "by": self.me, "state": "running"},
            {"$set": {"state": state, "result": done, "finished_at": utcnow()}},
        )

    def _advance(self, slot: datetime) -> None:
        behind = {"_id": self.name, "done_through": {"$lt": slot}}
        self.db.ticks.update_one(behind, {"$set": {"done_through": slot}})

    def _id(self, slot: datetime) -> str:
        return f"{self.name}@{slot:%Y-%m-%dT%H:%M:%SZ}"
