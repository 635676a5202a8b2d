"""Gives each job the ids by which others know it, so that it is found by them."""

from __future__ import annotations

from typing import Any

from pymongo.database import Database

from core.store.migrations.each import change_each

Document = dict[str, Any]


def run(db: Database[Document]) -> None:
    """Workers wait for it, so nobody else adds any meanwhile."""
    change_each(db.jobs, {"known_as": {"$exists": False}}, _named, "request_id", "calls", "unkept")


def _named(job: Document) -> Document:
    calls = [*job.get("calls", ()), *(call for lost in job.get("unkept", ()) for call in lost["calls"])]
    ids = [job.get("request_id"), *(call.get("provider_request_id") for call in calls)]
    return {"$set": {"known_as": [one for one in dict.fromkeys(ids) if one]}}
