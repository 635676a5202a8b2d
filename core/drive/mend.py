"""Mending: what a dead process, a failed job or an outage left half done is brought to its end."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from pymongo.database import Database

from core.clock import utcnow
from core.drive import arrivals, quota, remove
from core.drive.accept import give_up
from core.drive.files import ARRIVING, DELETING
from core.ids import new_id
from core.jobs.model import DONE
from core.services import Send
from core.store import aside

Document = dict[str, Any]

LOOP = "drive"
NOTE = "arriving_files"
"""Where in `scheduler` it stands which of them were looked at last."""
A_TICK = 200
LOOKED_AT_AGAIN = timedelta(minutes=5)
FIRST_LOOK = timedelta(seconds=30)


def tick(db: Database[Document], send: Send, *, staging_s: float) -> Document:
    """Mend once; what was done, by name. `staging_s`: how long an upload without a job may take."""
    now = utcnow()
    return {
        "uploads_lost": arrivals.forget_dead(db, now),
        "files_given_up": _give_up(db, now - timedelta(seconds=staging_s)),
        "deletes_sent": _delete(db, send, now),
        **quota.tick(db),
    }


def _give_up(db: Database[Document], before: datetime) -> int:
    """Files whose upload came to nothing: its job ended badly, or never was.

    Each tick looks at the next ones by id, since those that wait stay where they are.
    """
    last = (db.scheduler.find_one({"_id": NOTE}) or {}).get("last", "")
    arriving = {"state": ARRIVING, "_id": {"$gt": last}}
    records = list(db.drive_files.find(arriving).sort("_id", 1).limit(A_TICK))
    given_up = sum(aside.each(db, LOOP, records, lambda record: _give_up_one(db, record, before)))
    reached = records[-1]["_id"] if len(records) == A_TICK else ""
    if reached != last:
        db.scheduler.update_one({"_id": NOTE}, {"$set": {"last": reached}}, upsert=True)
    return given_up


def _give_up_one(db: Database[Document], record: Document, before: datetime) -> bool:
    if not _is_lost(db, record, before):
        return False
    give_up(db, [record])
    return True


def _is_lost(db: Database[Document], record: Document, before: datetime) -> bool:
    job = db.jobs.find_one({"_id": record["upload_id"]}, {"status": 1})
    if job is not None:
        return job["status"] in DONE
    return record["created_at"] < before and not arrivals.living(db, record["upload_id"])


def _delete(db: Database[Document], send: Send, now: datetime) -> int:
    """Files that are marked, and have no job that removes them (any more)."""
    marked = {"state": DELETING, "updated_at": {"$lt": now - FIRST_LOOK}, **aside.waiting(db, LOOP)}
    records = list(db.drive_files.find(marked).limit(A_TICK))
    return len(aside.each(db, LOOP, records, lambda record: _begin(db, send, record, now)))


def _begin(db: Database[Document], send: Send, record: Document, now: datetime) -> None:
    remove.begin(db, send, record, by=record["created_by"], request_id=new_id())
    later = {"$set": {"updated_at": now + LOOKED_AT_AGAIN}}
    db.drive_files.update_one({"_id": record["_id"], "state": DELETING}, later)
