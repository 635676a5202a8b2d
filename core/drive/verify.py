"""Verifying: every record has its bytes, and every object a record. What differs is listed, not mended.

Only orphans are removed, once they are older than a day: what has a record is never touched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any, cast

import structlog
from pymongo.database import Database

from core.accounts.workspaces import DEFAULT
from core.clock import utcnow
from core.drive import installation, keys
from core.drive.files import STORED
from core.drive.storage import Storage, Stored
from core.drive.work import held, patiently, unless_stopped
from core.errors import BytesMissing
from core.ids import new_id
from core.jobs import lease
from core.jobs.accept import accept
from core.jobs.document import Job
from core.jobs.model import QUEUED, RUNNING, Draft
from core.jobs.progress import Progress
from core.jobs.run import Run
from core.services import Send
from core.store import pages

Document = dict[str, Any]

KIND, QUEUE = "drive_verify", "drive"
ORPHANED_FOR = timedelta(days=1)
MOST_LISTED = 1000

log = structlog.get_logger(__name__)


def begin(db: Database[Document], send: Send, *, by: str) -> list[Job]:
    """A job for each place whose drive workers live; where one is open already, that one."""
    return [_begun(db, send, host, by) for host in hosts(db)]


def tick(db: Database[Document], send: Send) -> Document:
    """Begin them all, where there is a file to look at; what was done, by name."""
    if db.drive_files.find_one({"state": STORED}, {"_id": 1}) is None:
        return {"verifications": 0}
    return {"verifications": len(begin(db, send, by="scheduler"))}


def hosts(db: Database[Document]) -> list[str]:
    """Where drive workers are."""
    served = lease.served(db)
    return sorted(queue.removeprefix(f"{QUEUE}.") for queue in served if queue.startswith(f"{QUEUE}."))


def verify(run: Run, storage: Storage) -> Document:
    """The job's result: counts. Which files they are is kept apart, for the operator: see `findings`."""
    db, host = run.services.db, run.job["request"]["host"]
    mine = {"state": STORED, "storage": storage.kind, "host": host}
    progress = Progress(run, "bytes", total=held(run, lambda: _bytes(db, mine)))
    found: Document = {"checked": 0, "missing": [], "differ": [], "orphans": [], "orphans_removed": 0}
    for record in _records(run, mine):
        problem = patiently(run, lambda record=record: _problem(run, storage, record, progress))  # type: ignore[misc]
        found["checked"] += 1
        if problem is not None and _is_still(run, record):
            found[problem].append(record["_id"])
    patiently(run, lambda: _orphans(run, storage, found))
    held(run, lambda: _note(db, host, found))
    return {name: len(kept) if isinstance(kept, list) else kept for name, kept in found.items()}


def findings(db: Database[Document], host: str) -> Document | None:
    """What the last verification of a place found: `missing` and `differ` by file, `orphans` by key."""
    return db.drive.find_one({"_id": f"verified {host}"})


def _begun(db: Database[Document], send: Send, host: str, by: str) -> Job:
    open_one = {"status": {"$in": [QUEUED, RUNNING]}, "kind": KIND, "request.host": host}
    draft = Draft(
        kind=KIND,
        workspace_id=DEFAULT,
        agent_id=None,
        request={"host": host},
        plan={},
        created_by=by,
        request_id=new_id(),
        host=host,
    )
    found = cast(Job | None, db.jobs.find_one(open_one))
    return found or accept(db, send, draft)[0]


def _bytes(db: Database[Document], records: Document) -> int:
    summed = db.drive_files.aggregate(
        [{"$match": records}, {"$group": {"_id": None, "n": {"$sum": "$size"}}}]
    )
    return sum(row["n"] for row in summed)


def _records(run: Run, mine: Document) -> Iterator[Document]:
    """Those of every workspace, page by page: a cursor would be closed while a large file is read."""
    db = run.services.db
    for workspace in held(run, lambda: list(db.workspaces.find({}, {"_id": 1}))):
        wanted, cursor = {"workspace_id": workspace["_id"], **mine}, None
        while True:
            read = lambda wanted=wanted, cursor=cursor: pages.page(db.drive_files, wanted, cursor=cursor)  # noqa: E731
            records, cursor = held(run, read)
            yield from records
            if cursor is None:
                break


def _problem(run: Run, storage: Storage, record: Document, progress: Progress) -> str | None:
    """`missing`, `differ`, or nothing."""
    sha256 = hashlib.sha256()
    try:
        with closing(storage.read(record["key"])) as reading:
            for piece in unless_stopped(run, reading):
                sha256.update(piece)
                progress.add(len(piece))
    except BytesMissing:
        return "missing"
    return None if sha256.hexdigest() == record["sha256"] else "differ"


def _is_still(run: Run, record: Document) -> bool:
    """It was not deleted while we looked."""
    still = {"_id": record["_id"], "state": STORED}
    return held(run, lambda: run.services.db.drive_files.find_one(still, {"_id": 1})) is not None


def _orphans(run: Run, storage: Storage, found: Document) -> None:
    """Objects without a record. Those that may still be on their way are left for the next time."""
    found["orphans"] = []
    folder = keys.files_of(held(run, lambda: installation.name(run.services.db)))
    for stored in storage.list(folder):
        if not _is_orphan(run, stored):
            continue
        if utcnow() - stored.modified > ORPHANED_FOR:
            log.warning("drive.orphan_removed", key=stored.key, size=stored.size)
            storage.delete(stored.key)
            found["orphans_removed"] += 1
        else:
            found["orphans"].append(stored.key)


def _is_orphan(run: Run, stored: Stored) -> bool:
    file_id = keys.file_of(stored.key)
    if file_id is None:
        return False  # whoever named it so knows what it is
    return held(run, lambda: run.services.db.drive_files.find_one({"_id": file_id}, {"_id": 1})) is None


def _note(db: Database[Document], host: str, found: Document) -> None:
    """Kept apart from the job, which a member of the workspace may read: the files are of all workspaces."""
    listed = {name: kept[:MOST_LISTED] if isinstance(kept, list) else kept for name, kept in found.items()}
    db.drive.update_one({"_id": f"verified {host}"}, {"$set": {**listed, "at": utcnow()}}, upsert=True)
