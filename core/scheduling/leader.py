"""Leadership: one of several schedulers acts, by a lease in MongoDB. No clocks are compared."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import structlog
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from core.clock import utcnow

Document = dict[str, Any]

LEADER = "leader"

log = structlog.get_logger(__name__)


class Leadership:
    """`hold()` now and then renews the lease, or takes one that stood still for `lease_s`."""

    def __init__(
        self,
        db: Database[Document],
        me: str,
        *,
        lease_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.db = db
        self.me = me
        self.lease_s = lease_s
        self.monotonic = monotonic
        self._renewed: float | None = None
        self._seen: tuple[str | None, int] | None = None
        self._seen_since = 0.0

    def held(self) -> bool:
        """May this process act now? It stops acting before another one can have taken over."""
        return self._renewed is not None and self.monotonic() - self._renewed < self.lease_s * 0.8

    def hold(self) -> bool:
        """Renew or take the lease. Raises `PyMongoError` when the store is away."""
        now = self.monotonic()
        if self._take({"holder": self.me}):
            self._renewed = now
            return True
        if self._renewed is not None:
            log.warning("leader.lost")
            self._renewed = None
        lease = self.db.scheduler.find_one({"_id": LEADER})
        if lease is None:
            self._first()
            return False
        seen = (lease["holder"], lease["beat"])
        if seen != self._seen:
            self._seen, self._seen_since = seen, now
        stale = lease["holder"] is None or now - self._seen_since > self.lease_s
        if stale and self._take({"holder": lease["holder"], "beat": lease["beat"]}):
            log.info("leader.taken", previous=lease["holder"])
            self._renewed = now
        return self.held()

    def release(self) -> None:
        """Let another one take over at once."""
        self._renewed = None
        self.db.scheduler.update_one({"_id": LEADER, "holder": self.me}, {"$set": {"holder": None}})

    def _take(self, matching: Document) -> bool:
        update = {"$set": {"holder": self.me, "renewed_at": utcnow()}, "$inc": {"beat": 1}}
        return self.db.scheduler.update_one({"_id": LEADER, **matching}, update).matched_count == 1

    def _first(self) -> None:
        try:
            self.db.scheduler.insert_one({"_id": LEADER, "holder": None, "beat": 0})
        except DuplicateKeyError:
            log.debug("leader.another_was_first")
