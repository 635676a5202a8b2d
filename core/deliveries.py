"""Deliveries: what is to be POSTed to whom, and what became of it, for whoever waits at the other end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from pymongo.database import Database

from core.clock import rfc3339
from core.crypto import origin

Document = dict[str, Any]


def born(
    name: str, *, workspace_id: str, job_id: str | None, event: str, url: str, now: datetime
) -> Document:
    """The document of a delivery that is due at once. `name`: its `webhook-id`."""
    return {
        "_id": name,
        "workspace_id": workspace_id,
        "job_id": job_id,
        "event": event,
        "url": url,
        "origin": origin(url),
        "state": "due",
        "created_at": now,
        "next_at": now,
        "tries": [],
    }


def of_job(db: Database[Document], job: Mapping[str, Any]) -> list[Document]:
    """The deliveries that a job's end has led to: one, or none when nobody asked or it is not done."""
    found = db.deliveries.find_one({"_id": delivery_id(job)})
    return [found] if found else []


def delivery_id(job: Mapping[str, Any]) -> str:
    """The `webhook-id` of a job's end: the same however often it is sent."""
    return f"{job['_id']}-{job['status']}"


def public(delivery: Document) -> Document:
    """As the API shows it. The address without its query, where people keep tokens."""
    return {
        "id": delivery["_id"],
        "event": delivery["event"],
        "url": urlsplit(delivery["url"])._replace(query="", fragment="").geturl(),
        "state": delivery["state"],
        "reason": delivery.get("reason"),
        "created_at": rfc3339(delivery["created_at"]),
        "delivered_at": rfc3339(delivery.get("delivered_at")),
        "next_try_at": rfc3339(delivery["next_at"]) if delivery["state"] == "due" else None,
        "tries": [_try(tried) for tried in delivery["tries"]],
    }


def _try(tried: Document) -> Document:
    shown = {name: tried.get(name) for name in ("status", "error", "ms")}
    return {"at": rfc3339(tried["at"]), **shown}
