"""Removing a file: its record is marked, its bytes go, then the record. Repeated until nothing is left."""

from __future__ import annotations

from typing import Any

from pymongo.database import Database

from core.drive import quota
from core.drive.files import DELETING
from core.drive.storage import Storage
from core.drive.work import held, patiently, same_storage
from core.jobs.accept import accept
from core.jobs.document import Job
from core.jobs.model import Draft, Idempotency
from core.jobs.run import Run
from core.services import Send

Document = dict[str, Any]

KIND = "drive_delete"


def begin(db: Database[Document], send: Send, record: Document, *, by: str, request_id: str) -> Job:
    """The job that removes a file that is marked; while one is open, that one."""
    draft = Draft(
        kind=KIND,
        workspace_id=record["workspace_id"],
        agent_id=record["agent_id"],
        request={"file": record["_id"]},
        plan={},
        created_by=by,
        request_id=request_id,
        host=record["host"],
        idempotency=Idempotency(route=KIND, key=record["_id"], hash="", kept=None, frees_failures=True),
    )
    return accept(db, send, draft)[0]


def delete(run: Run, storage: Storage) -> Document:
    """The job's result: the id of the file that is gone."""
    db, file_id = run.services.db, run.job["request"]["file"]
    record = held(run, lambda: db.drive_files.find_one({"_id": file_id, "state": DELETING}))
    if record is not None:
        same_storage(record, storage)
        for key in (record["staged"], record["key"]):
            patiently(run, lambda key=key: storage.delete(key))  # type: ignore[misc]
        held(run, lambda: quota.changed(db, record["workspace_id"]))
        held(run, lambda: db.drive_files.delete_one({"_id": file_id, "state": DELETING}))
    return {"id": file_id, "deleted": True}
