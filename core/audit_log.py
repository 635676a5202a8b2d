"""The audit log: who wrote what, when, from where.

What changes keys, agents and the like is written down at once. What makes a job is written down in batches,
within a second, since the job itself keeps who made it, and a chat should cost no further write.
"""

from __future__ import annotations

import threading
from collections import deque
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from pymongo import InsertOne
from pymongo.database import Database
from pymongo.errors import PyMongoError

from core.clock import rfc3339, utcnow
from core.ids import new_id
from core.store import marks, pages
from core.store.repeat import write_missing

Document = dict[str, Any]

KEPT = timedelta(days=400)
KEPT_OF_JOBS = timedelta(days=7)
FLUSH_S = 1.0
MOST_WAITING = 20_000

log = structlog.get_logger(__name__)


class Trail:
    """Writes entries, now or soon. `close` writes what waits."""

    def __init__(self, db: Database[Document], flush_s: float = FLUSH_S) -> None:
        self.db = db
        self.flush_s = flush_s
        self._waiting: deque[Document] = deque(maxlen=MOST_WAITING)
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def now(self, **what: Any) -> None:
        """Write an entry. What was done stays done when it cannot be: that is an error in the log."""
        entry = _entry(what, KEPT)
        try:
            self.db.audit_log.insert_one(entry)
        except PyMongoError as error:
            log.error("audit.not_written", error=type(error).__name__, entry=entry["_id"], **what)

    def soon(self, **what: Any) -> None:
        """Write an entry within a second, together with others."""
        self._waiting.append(_entry(what, KEPT_OF_JOBS))
        self._wait()

    def flush(self) -> None:
        """Write what waits; what the store does not take waits on."""
        with self._lock:
            entries = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if not entries:
                return
            try:
                write_missing(self.db.audit_log, [InsertOne(entry) for entry in entries])
            except PyMongoError as error:
                log.warning("audit.waits", n=len(entries), error=type(error).__name__)
                self._waiting.extendleft(reversed(entries))

    def close(self) -> None:
        """Write what waits, and stop."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
        self.flush()

    def _wait(self) -> None:
        if self._timer is None or not self._timer.is_alive():
            self._timer = threading.Timer(self.flush_s, self._flush_and_wait)
            self._timer.daemon = True
            self._timer.start()

    def _flush_and_wait(self) -> None:
        self.flush()
        if self._waiting:
            self._timer = None
            self._wait()


def page(
    db: Database[Document], workspace_id: str, *, limit: int, cursor: str | None, since: datetime | None
) -> tuple[list[Document], str | None]:
    """A workspace's entries, newest first."""
    whose = {"workspace_id": workspace_id}
    marked = partial(marks.places, db.audit_log, whose)
    return pages.page(db.audit_log, whose, limit=limit, cursor=cursor, since=since, places=marked)


def public(entry: Document) -> Document:
    """An entry as the API shows it."""
    shown = ("key_id", "role", "method", "route", "target", "status", "address", "request_id")
    return {
        "id": entry["_id"],
        "at": rfc3339(entry["created_at"]),
        "workspace_id": entry["workspace_id"],
        **{name: entry.get(name) for name in shown},
    }


def _entry(what: Document, kept: timedelta) -> Document:
    now, entry_id = utcnow(), new_id()
    return {"_id": entry_id, "created_at": now, "expires_at": now + kept, **marks.mark(entry_id), **what}
