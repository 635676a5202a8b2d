"""Slots: a tick of a minute or longer happens once for each of its times, also when all schedulers were down.

The tick's document says which of its times was the last that is done, `done_through`, and how often the next
one was begun, `tries`. Whoever raises `tries` carries that time out. One that a dead leader left unfinished
is done again by the next leader, so an effect is either safe to repeat (computed and set) or an insert under
the slot's time. A time that was missed is caught up, oldest first; one from the future is brought back.
"""

from __future__ import annotations

import contextlib
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
    """The slots of one tick. Only the leader calls `run`."""

    def __init__(
        self,
        db: Database[Document],
        name: str,
        every: timedelta,
        effect: Effect,
        *,
        now: Callable[[], datetime] = utcnow,
    ) -> None:
        self.db = db
        self.name = name
        self.every = every
        self.effect = effect
        self.now = now

    def run(self) -> Document | None:
        """Carry out what is due, a bounded number of slots; what the last one did, None: nothing was due."""
        done = None
        current = EPOCH + (self.now() - EPOCH) // self.every * self.every
        for _ in range(CAUGHT_UP_AT_ONCE):
            before, tries = self._reached(current)
            if before > current:
                before, tries = self._brought_back(before, current)
            slot = before + self.every
            if slot > current or not self._begin(before, tries):
                break
            if tries < TRIES:
                done = self.effect(slot)
            else:
                log.error("slot.given_up", tick=self.name, slot=slot.isoformat(), tries=tries)
            if not self._finish(before, tries + 1):
                break
        return done

    def _reached(self, current: datetime) -> tuple[datetime, int]:
        """`done_through` and `tries`; a tick that never ran begins with the current slot."""
        tick = self.db.ticks.find_one({"_id": self.name, "done_through": {"$exists": True}})
        if tick is None:
            absent = {"_id": self.name, "done_through": {"$exists": False}}
            first = {"done_through": current - self.every, "tries": 0}
            with contextlib.suppress(DuplicateKeyError):  # another leader has just written it
                self.db.ticks.update_one(absent, {"$set": first}, upsert=True)
            return self._reached(current)
        return tick["done_through"], tick["tries"]

    def _brought_back(self, before: datetime, current: datetime) -> tuple[datetime, int]:
        """The clock was ahead for a while: what was done through a time to come is done through now."""
        log.warning("slot.from_the_future", tick=self.name, done_through=before.isoformat())
        unchanged = {"_id": self.name, "done_through": before}
        now = {"done_through": current, "tries": 0}
        self.db.ticks.update_one(unchanged, {"$set": now})
        return self._reached(current)

    def _begin(self, before: datetime, tries: int) -> bool:
        """False: another leader was faster."""
        unchanged = {"_id": self.name, "done_through": before, "tries": tries}
        return self.db.ticks.update_one(unchanged, {"$set": {"tries": tries + 1}}).matched_count == 1

    def _finish(self, before: datetime, tries: int) -> bool:
        """False: another leader has begun the slot again meanwhile, and will finish it."""
        mine = {"_id": self.name, "done_through": before, "tries": tries}
        done = {"done_through": before + self.every, "tries": 0}
        return self.db.ticks.update_one(mine, {"$set": done}).matched_count == 1
