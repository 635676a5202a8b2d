"""Uploads that are arriving just now. Each is a document that its web process renews while it lives.

So two with the same Idempotency-Key do not arrive at once, and what one has staged is left alone.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, PyMongoError

from core.clock import utcnow
from core.errors import Conflict
from core.loop import Loop
from core.store.repeat import insert_once

Document = dict[str, Any]

RENEWED_S = 2.0
DEAD_AFTER = timedelta(seconds=8)
"""Who repeats an upload whose web process died waits so long. A living one taken for dead harms nothing."""
TRIES = 3


class Arrivals:
    """Those of one process. `start` begins to renew them."""

    def __init__(self, db: Database[Document]) -> None:
        self.db = db
        self._ids: set[str] = set()
        self._loop = Loop("arrivals", self.renew, RENEWED_S, away=(PyMongoError,))

    def start(self) -> None:
        self._loop.start()

    def close(self) -> None:
        self._loop.close()

    def begin(self, upload_id: str, workspace_id: str, key: str | None) -> None:
        """Raises `Conflict` while another upload with this key is arriving."""
        entry = {"_id": upload_id, "workspace_id": workspace_id, "key": key or upload_id}
        for _ in range(TRIES):
            try:
                insert_once(self.db.drive_uploads, {**entry, "renewed_at": utcnow()})
            except DuplicateKeyError:
                self._take_over(entry)
            else:
                self._ids.add(upload_id)
                return
        raise _arriving()

    def end(self, upload_id: str) -> None:
        """It is over, well or not."""
        self._ids.discard(upload_id)
        self.db.drive_uploads.delete_one({"_id": upload_id})

    def _take_over(self, entry: Document) -> None:
        """Forget a dead one that has the key."""
        other = self.db.drive_uploads.find_one({name: entry[name] for name in ("workspace_id", "key")})
        if other is not None and not dead(other, utcnow()):
            raise _arriving()
        if other is not None:
            self.db.drive_uploads.delete_one({"_id": other["_id"], "renewed_at": other["renewed_at"]})

    def renew(self) -> None:
        """Show that all of them live."""
        if self._ids:
            mine = {"_id": {"$in": list(self._ids)}}
            self.db.drive_uploads.update_many(mine, {"$set": {"renewed_at": utcnow()}})


def dead(upload: Document, now: datetime) -> bool:
    """Has its process died?"""
    return bool(now - upload["renewed_at"] > DEAD_AFTER)


def living(db: Database[Document], upload_id: str) -> bool:
    """Is this upload arriving?"""
    found = db.drive_uploads.find_one({"_id": upload_id})
    return found is not None and not dead(found, utcnow())


def forget_dead(db: Database[Document], now: datetime) -> int:
    """Forget the dead ones; how many."""
    return db.drive_uploads.delete_many({"renewed_at": {"$lt": now - DEAD_AFTER}}).deleted_count


def _arriving() -> Conflict:
    return Conflict("an upload with this Idempotency-Key is still arriving")
