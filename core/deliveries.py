"""The log of deliveries: what became of a job's callback, for whoever waits for it at the other end."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pymongo.database import Database

from core.jobs.views import rfc3339

Document = dict[str, Any]


def of_job(db: Database[Document], job: Document) -> list[Document]:
    """The deliveries that a job's end has led to: one, or none when nobody asked or it is not done."""
    found = db.deliveries.find_one({"_id": delivery_id(job)})
    return [found] if found else []


def delivery_id(job: Document) -> str:
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
