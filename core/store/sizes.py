"""How full the embedded store is: counted now and then by the scheduler, read by whoever asks for health.

It slows down beyond 50,000 documents in a collection (a count of 500,000 takes 9 s, and others wait
meanwhile); a real MongoDB has no such limits and is not counted.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pymongo.database import Database

from core.clock import utcnow

Document = dict[str, Any]

MOST_FINISHED_JOBS = 20_000
MOST_DOCUMENTS = 50_000
WARNED_FROM = 0.8
COUNTED_EVERY = timedelta(minutes=5)
NOTE = "sizes"


def note(db: Database[Document], finished: int) -> None:
    """Count every collection and write it down, unless that was done lately."""
    now = utcnow()
    noted = db.scheduler.find_one({"_id": NOTE})
    if noted is not None and now - noted["at"] < COUNTED_EVERY:
        db.scheduler.update_one({"_id": NOTE}, {"$set": {"finished_jobs": finished}})
        return
    counts = {name: db[name].estimated_document_count() for name in sorted(db.list_collection_names())}
    written = {"at": now, "finished_jobs": finished, "documents": counts}
    db.scheduler.update_one({"_id": NOTE}, {"$set": written}, upsert=True)


def warnings(db: Database[Document]) -> list[str]:
    """What is near its limit, in words for an operator."""
    noted = db.scheduler.find_one({"_id": NOTE})
    if noted is None:
        return []
    said = []
    if noted["finished_jobs"] >= WARNED_FROM * MOST_FINISHED_JOBS:
        said.append(
            f"{noted['finished_jobs']} finished jobs; beyond {MOST_FINISHED_JOBS} the oldest are deleted:"
            " set MONGODB_URI to a MongoDB of your own to keep more"
        )
    said += [
        f"{count} documents in {name}; beyond {MOST_DOCUMENTS} the embedded store is slow:"
        " set MONGODB_URI to a MongoDB of your own"
        for name, count in sorted(noted["documents"].items())
        if count >= WARNED_FROM * MOST_DOCUMENTS
    ]
    return said
