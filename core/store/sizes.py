"""How full the embedded store is: counted now and then by the scheduler, read by whoever asks for health.

It slows down beyond 50,000 documents in a collection (a count of 500,000 takes 9 s, and others wait
meanwhile); a real MongoDB has no such limits and is not counted.
"""

from __future__ import annotations

from typing import Any

from pymongo.database import Database

Document = dict[str, Any]

MOST_FINISHED_JOBS = 20_000
MOST_DOCUMENTS = 50_000
WARNED_FROM = 0.8
NOTE = "sizes"


def note(db: Database[Document], finished: int) -> None:
    """Write down how many jobs are finished, and count one collection, the one after that of the last time.

    To count is to read all of it, meanwhile the server does nothing else: 14 us a document.
    """
    last = (db.scheduler.find_one({"_id": NOTE}) or {}).get("last", "")
    names = sorted(db.list_collection_names())
    name = next((name for name in names if name > last), names[0])
    counted = {"last": name, f"documents.{name}": db[name].estimated_document_count()}
    db.scheduler.update_one({"_id": NOTE}, {"$set": {"finished_jobs": finished, **counted}}, upsert=True)


def warnings(db: Database[Document]) -> list[str]:
    """What is near its limit, in words for an operator."""
    noted = db.scheduler.find_one({"_id": NOTE})
    if noted is None:
        return []
    said = []
    if noted["finished_jobs"] >= WARNED_FROM * MOST_FINISHED_JOBS:
        said.append(
            f"about {noted['finished_jobs']} finished jobs; beyond {MOST_FINISHED_JOBS} the oldest are"
            " deleted: set MONGODB_URI to a MongoDB of your own to keep more"
        )
    said += [
        f"{count} documents in {name}; beyond {MOST_DOCUMENTS} the embedded store is slow:"
        " set MONGODB_URI to a MongoDB of your own"
        for name, count in sorted(noted["documents"].items())
        if count >= WARNED_FROM * MOST_DOCUMENTS
    ]
    return said
