"""Finishing an upload: its bytes are checked, its media type is found, it gets its place. Safe to repeat."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import closing
from typing import Any

from core.drive import files, media
from core.drive.accept import give_up
from core.drive.files import DELETING, STORED
from core.drive.storage import Reading, Storage
from core.drive.work import held, patiently, same_storage, unless_stopped
from core.errors import BytesMissing, JobFailed
from core.jobs.progress import Progress
from core.jobs.run import Run

Document = dict[str, Any]


class BytesDiffer(JobFailed):
    code = "bytes_differ"
    title = "What was kept is not what arrived"


def upload(run: Run, storage: Storage) -> Document:
    """The job's result: the file's record, or `files` where several were uploaded."""
    records = [_record(run, file_id) for file_id in run.job["request"]["files"]]
    progress = Progress(run, "bytes", total=sum(record["size"] for record in records))
    try:
        stored = [_finished(run, storage, record, progress.add) for record in records]
    except (BytesMissing, BytesDiffer) as problem:
        held(run, lambda: give_up(run.services.db, records))
        raise JobFailed(problem.detail, code=problem.code) from None
    shown = list(map(files.public, stored))
    return shown[0] if len(shown) == 1 else {"files": shown}


def _record(run: Run, file_id: str) -> Document:
    record = held(run, lambda: run.services.db.drive_files.find_one({"_id": file_id}))
    if record is None or record["state"] == DELETING:
        raise JobFailed("this upload was given up", code="upload_lost")
    return record


def _finished(run: Run, storage: Storage, record: Document, told: Callable[[int], None]) -> Document:
    """The file's record once it is stored, by this claim or by an earlier one."""
    if record["state"] == STORED:
        return record
    same_storage(record, storage)
    kind = patiently(run, lambda: _checked(run, storage, record, told))
    patiently(run, lambda: storage.move(record["staged"], record["key"], kind))
    held(run, lambda: files.store(run.services.db, record, kind))
    return _record(run, record["_id"])


def _checked(run: Run, storage: Storage, record: Document, told: Callable[[int], None]) -> str:
    """The media type of bytes that are all there, as they came. Raises `BytesMissing`, `BytesDiffer`."""
    if _vouched_for(storage, record):
        told(record["size"])
        return media.media_type(_sample(run, storage, record), record["name"])
    size, sha256, sample = 0, hashlib.sha256(), media.Sample()
    with closing(_opened(storage, record)) as reading:
        for piece in unless_stopped(run, reading):
            size += len(piece)
            sha256.update(piece)
            sample.feed(piece)
            told(len(piece))
    if (size, sha256.hexdigest()) != (record["size"], record["sha256"]):
        raise BytesDiffer
    return media.media_type(sample, record["name"])


def _vouched_for(storage: Storage, record: Document) -> bool:
    """Does the storage itself say that it has the bytes that were hashed? Only of many is it worth asking."""
    if record.get("said") is None or record["size"] <= media.HEAD:
        return False
    try:
        return bool(storage.said(record["staged"]) == record["said"])
    except BytesMissing:
        return False  # an earlier claim has moved it; a copy may have another checksum


def _sample(run: Run, storage: Storage, record: Document) -> media.Sample:
    sample, size = media.Sample(), record["size"]
    for start, stop in ((0, media.HEAD), (size - media.FOOT, size)):
        with closing(storage.read(record["staged"], start, stop)) as reading:
            if reading.size != size:
                raise BytesDiffer
            for piece in unless_stopped(run, reading):
                sample.feed(piece)
    return sample


def _opened(storage: Storage, record: Document) -> Reading:
    """Where the bytes were staged, or where an earlier claim has put them."""
    try:
        return storage.read(record["staged"])
    except BytesMissing:
        return storage.read(record["key"])
