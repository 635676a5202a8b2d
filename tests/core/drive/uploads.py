"""What tests of the drive make over and over: staged files, accepted uploads, and a worker for them."""

from __future__ import annotations

import hashlib
from typing import Any

from core.drive import accept, installation, keys, remove
from core.drive.files import Place
from core.drive.receive import Received
from core.ids import new_id
from core.jobs.run import Runner
from core.services import Services
from tests.core.jobs.test_run import Inline
from tests.factory import Sent

HOST = "h1"


def placed(db: Any, storage: Any, **changes: Any) -> Place:
    fields = {"workspace_id": "w1", "agent_id": "a1", "visibility": "private", "host": HOST}
    return Place(**{**fields, "installation": installation.name(db), "storage": storage.kind, **changes})


def staged(
    db: Any, storage: Any, data: bytes, name: str = "a.txt", *, upload_id: str, n: int = 0
) -> Received:
    """A file that has arrived."""
    key = keys.staged(installation.name(db), upload_id, n)
    staging = storage.stage(key)
    staging.write(data)
    return Received(name, len(data), hashlib.sha256(data).hexdigest(), key, staging.keep())


def upload(
    db: Any, storage: Any, *contents: bytes, upload_id: str | None = None, **changes: Any
) -> accept.Upload:
    """An upload of these contents, all staged. `changes`: of it or of its place."""
    upload_id = upload_id or new_id()
    of_place = {name: changes.pop(name) for name in list(changes) if name in Place.__annotations__}
    names = changes.pop("names", [f"{n}.txt" for n in range(len(contents))])
    received = [
        staged(db, storage, data, name, upload_id=upload_id, n=n)
        for n, (data, name) in enumerate(zip(contents, names, strict=True))
    ]
    fields = {"path": "", "created_by": "k1", "request_id": "r1"}
    return accept.Upload(
        id=upload_id, place=placed(db, storage, **of_place), received=received, **{**fields, **changes}
    )


def accepted(db: Any, storage: Any, *contents: bytes, quota: int | None = None, **changes: Any) -> Any:
    """The job of an accepted upload."""
    return accept.accepted(db, Sent(), upload(db, storage, *contents, **changes), quota_bytes=quota)[0]


def stored(services: Services, handlers: Any, storage: Any, data: bytes, **changes: Any) -> Any:
    """The record of a file that was uploaded."""
    job = carried_out(services, handlers, accepted(services.db, storage, data, **changes))
    assert job["status"] == "succeeded", job["error"]
    return services.db.drive_files.find_one({"_id": job["result"]["id"]})


def carried_out(services: Services, handlers: Any, job: Any, start: Any = Inline) -> Any:
    """The job as it is after a worker had it."""
    Runner(services, "p1", handlers, start=start, lost=lambda: True).run(job["_id"])
    return services.db.jobs.find_one({"_id": job["_id"]})


def deleted(services: Services, handlers: Any, record: Any) -> Any:
    """The job that removed a marked file."""
    job = remove.begin(services.db, Sent(), record, by="k1", request_id="r1")
    return carried_out(services, handlers, job)
