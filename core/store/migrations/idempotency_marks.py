"""Gives a mark in the index of idempotency keys to each job; earlier, a job without a key had none."""

from __future__ import annotations

from typing import Any

from pymongo.database import Database

from core.store.migrations.each import change_each

Document = dict[str, Any]


def run(db: Database[Document]) -> None:
    """The mark of a job without a key is its own. The index of today leaves both out."""
    change_each(db.jobs, {"idempotency": {"$exists": False}}, _own_mark)


def _own_mark(job: Document) -> Document:
    return {"$set": {"idempotency": {"route": "", "key": job["_id"], "hash": ""}}}
