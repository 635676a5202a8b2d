"""Put aside: documents that a loop cannot handle. Each is written down, and left alone for a growing while.

So one document stops no loop, nor keeps it from its next one. `GET /scheduler` and `/metrics` show them; one
that is handled at last, or has not been met for a day, is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from pymongo.database import Database

from core.clock import rfc3339, utcnow
from core.store.repeat import OUTAGE

Document = dict[str, Any]
T = TypeVar("T")
R = TypeVar("R")

PAUSES = [timedelta(minutes=m) for m in (1, 5, 30, 120, 360)]
KEPT = timedelta(days=1)
SHOWN = 20
"""Of each loop."""

log = structlog.get_logger(__name__)


def each(
    db: Database[Document],
    loop: str,
    documents: Iterable[T],
    handle: Callable[[T], R],
    *,
    name: Callable[[T], str] = lambda document: document["_id"],  # type: ignore[index]
) -> list[R]:
    """What `handle` returns for each document that is not put aside. One for which it raises is, from now on.

    Only an outage of the store is raised: it is no document's fault.
    """
    kept, done = known(db, loop), []
    for document in documents:
        of = f"{loop}:{name(document)}"
        if of in kept and kept[of] > utcnow():
            continue
        try:
            done.append(handle(document))
        except OUTAGE:
            raise
        except Exception as problem:  # noqa: BLE001 - whatever a document holds: it is written down
            put(db, loop, name(document), problem)
        else:
            if of in kept:
                db.aside.delete_one({"_id": of})
    return done


def put(db: Database[Document], loop: str, document: str, problem: Exception) -> None:
    """Write down that a loop could not handle a document, and when it is to be tried again."""
    log.error("document.put_aside", loop=loop, document=document, exc_info=problem)
    of, now = f"{loop}:{document}", utcnow()
    times = (db.aside.find_one({"_id": of}) or {}).get("times", 0)
    seen: Document = {
        "loop": loop,
        "document": document,
        "error": type(problem).__name__,
        "at": now,
        "next_at": now + PAUSES[min(times, len(PAUSES) - 1)],
        "expires_at": now + KEPT,
    }
    db.aside.update_one({"_id": of}, {"$set": seen, "$inc": {"times": 1}}, upsert=True)


def known(db: Database[Document], loop: str) -> Document:
    """When each document that this loop has put aside is to be tried again."""
    return {found["_id"]: found["next_at"] for found in db.aside.find({"loop": loop})}


def waiting(db: Database[Document], loop: str) -> Document:
    """A filter that leaves out what this loop has put aside, for one that takes so many at a time."""
    found = db.aside.find({"loop": loop, "next_at": {"$gt": utcnow()}}, {"document": 1})
    documents = [one["document"] for one in found]
    return {"_id": {"$nin": documents}} if documents else {}


def listed(db: Database[Document]) -> dict[str, list[Document]]:
    """Those of each loop, as the API shows them."""
    found: dict[str, list[Document]] = {}
    for one in db.aside.find().sort("at", -1):
        if len(of := found.setdefault(one["loop"], [])) < SHOWN:
            of.append(_public(one))
    return found


def counted(db: Database[Document]) -> dict[str, int]:
    """How many there are, by loop."""
    rows = db.aside.aggregate([{"$group": {"_id": "$loop", "n": {"$sum": 1}}}])
    return {row["_id"]: row["n"] for row in rows}


def _public(one: Document) -> Document:
    return {
        "document": one["document"],
        "error": one["error"],
        "times": one["times"],
        "at": rfc3339(one["at"]),
        "next_at": rfc3339(one["next_at"]),
    }
