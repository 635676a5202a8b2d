"""Names the random mark of a job's claim `fence`, as the rest of the field does; it was called `token`."""

from __future__ import annotations

from typing import Any

from pymongo.database import Database

from core.store.migrations.each import change_each

Document = dict[str, Any]


def run(db: Database[Document]) -> None:
    """A job that has both fields was claimed by this version meanwhile: its `fence` stands."""
    change_each(db.jobs, {"token": {"$exists": True}}, _renamed, "token", "fence")


def _renamed(job: Document) -> Document:
    return {"$set": {"fence": job.get("fence", job["token"])}, "$unset": {"token": ""}}
