"""Deliveries: what is to be POSTed to whom, and what became of it. `core.callbacks` carries them out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict, cast
from urllib.parse import urlsplit

from pymongo.collection import Collection
from pymongo.database import Database

from core.clock import rfc3339, utcnow
from core.crypto import origin
from core.errors import NotFound
from core.store import pages

Document = dict[str, Any]


class Try(TypedDict):
    """One POST of a delivery. Written by `core.callbacks`, shown."""

    at: datetime
    status: NotRequired[int]  # of the receiver's answer
    error: NotRequired[str]  # the class of the error, when there was no answer
    ms: NotRequired[int]  # how long it took


class Delivery(TypedDict):
    """What is to be told to whom. The outbox makes it, and alerts of allowances and of agents' processes do;
    the courier changes it."""

    _id: str  # its `webhook-id`, the same at each try
    workspace_id: str  # whose secret signs it
    job_id: str | None  # the job that it tells of, as it is at that time; None: see `payload`
    payload: NotRequired[Document]  # what it tells instead of a job
    event: str  # its `type`: `job.succeeded`, `allowance.threshold`
    url: str
    origin: str  # of the url; the courier counts by it how many are under way
    state: Literal["due", "delivered", "failed"]
    reason: NotRequired[str]  # why it failed, shown
    created_at: datetime  # it is given up a day later
    next_at: datetime  # due: when it is tried next
    delivered_at: NotRequired[datetime]
    tries: list[Try]  # the last of them
    n: NotRequired[int]  # how many there were; absent: none


def deliveries_of(db: Database[Document]) -> Collection[Delivery]:
    """The collection of deliveries. It has a type, so that mypy knows what is read from it."""
    return cast("Collection[Delivery]", db.deliveries)


def born(
    name: str, *, workspace_id: str, job_id: str | None, event: str, url: str, now: datetime
) -> Delivery:
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


def of_job(db: Database[Document], job: Mapping[str, Any]) -> list[Delivery]:
    """The deliveries that a job's end has made: one; none if nobody asked, or the job is not done."""
    found = deliveries_of(db).find_one({"_id": delivery_id(job)})
    return [found] if found else []


def page(
    db: Database[Document], workspace_id: str, *, limit: int, cursor: str | None
) -> tuple[list[Delivery], str | None]:
    """A page of the workspace's deliveries, newest first."""
    return pages.page(deliveries_of(db), {"workspace_id": workspace_id}, limit=limit, cursor=cursor)


def redeliver(db: Database[Document], workspace_id: str, name: str) -> None:
    """Send it once more, now, whatever became of it; with the same `webhook-id`. Raises `NotFound`."""
    mine = {"_id": name, "workspace_id": workspace_id}
    again = {"$set": {"state": "due", "next_at": utcnow()}, "$unset": {"reason": ""}}
    if db.deliveries.update_one(mine, again).matched_count != 1:
        raise NotFound("no such delivery")


def failed(db: Database[Document]) -> dict[str, int]:
    """How many were given up, by event; for as long as they are kept."""
    by_event: list[Document] = [
        {"$match": {"state": "failed"}},
        {"$group": {"_id": "$event", "n": {"$sum": 1}}},
    ]
    return {row["_id"]: row["n"] for row in db.deliveries.aggregate(by_event)}


def delivery_id(job: Mapping[str, Any]) -> str:
    """The `webhook-id` of a job's end: the same however often it is sent."""
    return f"{job['_id']}-{job['status']}"


def public(delivery: Delivery) -> Document:
    """A delivery as the API shows it. Its URL is shown without the query, where people keep tokens."""
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


def _try(tried: Try) -> Document:
    return {
        "at": rfc3339(tried["at"]),
        "status": tried.get("status"),
        "error": tried.get("error"),
        "ms": tried.get("ms"),
    }
