"""Accepting an upload: its bytes are staged; from here on they are a job's, whatever dies."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json
from pymongo.database import Database

from core.drive import files, quota
from core.drive.files import ARRIVING, Place
from core.drive.receive import Received
from core.ids import new_id
from core.jobs.accept import accept, earlier
from core.jobs.document import Job
from core.jobs.model import Draft, Idempotency
from core.services import Send
from core.store.repeat import insert_once

Document = dict[str, Any]

KIND = "drive_upload"
ROUTE = "drive/upload"


@dataclass(frozen=True)
class Upload:
    """What arrived, and what was said with it. `path`: a folder when it ends with `/`, or for several."""

    id: str
    place: Place
    received: Sequence[Received]
    path: str
    created_by: str
    request_id: str
    key: str | None = None
    callback_url: str | None = None


def accepted(
    db: Database[Document], send: Send, upload: Upload, *, quota_bytes: int | None
) -> tuple[Job, bool]:
    """The upload's job, and whether it was made by this call; if not, what was staged is nobody's.

    Raises `TooLarge` when it does not fit into the workspace's quota, and `IdempotencyMismatch`: then too.
    When it raises `PyMongoError` nobody knows; what is not a job's after a while is removed.
    """
    records = _records(upload)
    draft = _draft(upload, [record["_id"] for record in records])
    job = earlier(db, draft)
    if job is not None:
        return job, False
    size = sum(file.size for file in upload.received)
    quota.charge(db, upload.place.workspace_id, upload.id, size, quota=quota_bytes)
    for record in records:
        insert_once(db.drive_files, record)
    quota.settle(db, upload.place.workspace_id, upload.id)
    job, made = accept(db, send, draft, job_id=upload.id)
    if not made:
        give_up(db, records)
    return job, made


def give_up(db: Database[Document], records: Sequence[Document]) -> None:
    """These files do not come to be; what there is of them is removed later."""
    for record in records:
        files.mark(db, record, ARRIVING)


def _records(upload: Upload) -> list[Document]:
    return [
        files.born(
            received,
            file_id=new_id(),
            upload_id=upload.id,
            path=_path(upload, received.name),
            place=upload.place,
            created_by=upload.created_by,
        )
        for received in upload.received
    ]


def _path(upload: Upload, name: str) -> str:
    if not upload.path:
        return name
    if upload.path.endswith("/"):
        return upload.path + name
    return upload.path if len(upload.received) == 1 else f"{upload.path}/{name}"


def _draft(upload: Upload, file_ids: list[str]) -> Draft:
    mark = None if upload.key is None else Idempotency(route=ROUTE, key=upload.key, hash=_hash(upload))
    return Draft(
        kind=KIND,
        workspace_id=upload.place.workspace_id,
        agent_id=upload.place.agent_id,
        request={"files": file_ids},
        plan={},
        created_by=upload.created_by,
        request_id=upload.request_id,
        host=upload.place.host,
        idempotency=mark,
        callback_url=upload.callback_url,
    )


def _hash(upload: Upload) -> str:
    """What makes a repeated upload the same; the boundaries of its form differ at every try."""
    what = [(file.name, file.size, file.sha256) for file in upload.received]
    where = (upload.place.agent_id, upload.place.visibility, upload.path)
    return hashlib.sha256(to_json([what, where])).hexdigest()
