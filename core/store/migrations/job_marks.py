"""Gives jobs the marks among their ids by which lists and second tries find them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pymongo.database import Database

from core.clock import utcnow
from core.store.migrations.each import change_each

Document = dict[str, Any]

JOINED_WITHIN = timedelta(minutes=10)


def run(db: Database[Document]) -> None:
    """Of jobs that ended badly, and of those that a client of the door may ask for once more."""
    for status in ("failed", "cancelled"):
        unmarked = {"status": status, "known_as": {"$ne": f"~{status}"}}
        change_each(db.jobs, unmarked, lambda job: _add(f"~{job['status']}"), "status")
    asked = {"$gte": "door/", "$lt": "door0"}
    lately = {"created_at": {"$gte": utcnow() - JOINED_WITHIN}, "idempotency.route": asked}
    change_each(db.jobs, lately, lambda job: _add(f"~{job['idempotency']['route']}"), "idempotency")


def _add(mark: str) -> Document:
    return {"$addToSet": {"known_as": mark}}
