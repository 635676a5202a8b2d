"""The staging area is swept: what a dead upload left there goes once it is older than its limit."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from pymongo.database import Database
from pymongo.errors import PyMongoError

from core.clock import utcnow
from core.drive import accept, arrivals, installation, keys
from core.drive.files import ARRIVING
from core.drive.storage import Storage
from core.errors import BytesMissing, StorageAway
from core.jobs.model import QUEUED, RUNNING
from core.loop import Loop

Document = dict[str, Any]

SWEPT_EVERY_S = 60.0

log = structlog.get_logger(__name__)


def sweeper(db: Database[Document], storage: Storage, *, staging_s: float) -> Loop:
    """Sweeps now and then, from its start until it is closed."""
    work = partial(sweep, db, storage, staging_s=staging_s)
    away = (StorageAway, BytesMissing, PyMongoError)
    return Loop("drive sweep", work, min(SWEPT_EVERY_S, staging_s / 4), away=away)


def sweep(db: Database[Document], storage: Storage, *, staging_s: float) -> int:
    """Remove what is staged for longer, and is no upload's or job's that is under way; how many objects."""
    swept, before = 0, utcnow() - timedelta(seconds=staging_s)
    for staged in list(storage.list(keys.staging_of(installation.name(db)))):
        if staged.modified < before and not _is_wanted(db, staged.key):
            log.info("drive.swept", key=staged.key, size=staged.size)
            storage.delete(staged.key)
            swept += 1
    return swept


def _is_wanted(db: Database[Document], key: str) -> bool:
    upload_id = keys.upload_of(key)
    if arrivals.living(db, upload_id) or _is_being_made(db, upload_id):
        return True
    waiting = {"upload_id": upload_id, "staged": key, "state": ARRIVING}
    return db.drive_files.find_one(waiting, {"_id": 1}) is not None


def _is_being_made(db: Database[Document], job_id: str) -> bool:
    """By a job that writes it; that of an upload finishes what has a record."""
    making = {"_id": job_id, "status": {"$in": [QUEUED, RUNNING]}, "kind": {"$ne": accept.KIND}}
    return db.jobs.find_one(making, {"_id": 1}) is not None
