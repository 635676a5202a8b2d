"""Exporting an agent: its configuration without keys, its state and its workspace, as a file of the drive."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from core.agents import agents, portable
from core.clock import utcnow
from core.documents import Agent
from core.drive import files, folders, installation, mirror, quota
from core.drive.files import ARRIVING, PRIVATE, STORED, Place
from core.drive.keep import Writing
from core.drive.storage import CHUNK, Storage
from core.drive.work import held, patiently, unless_stopped
from core.errors import JobFailed, TooLarge
from core.jobs.progress import Progress
from core.jobs.run import Run
from core.runtime import records
from core.runtime.archive import CONFIGURATION, FOLDERS, MOST_ENTRIES, UNPACKED, Packing
from core.runtime.documents import Record
from core.runtime.folder import Folder
from core.runtime.host import Host
from core.runtime.states import RUNNING

Document = dict[str, Any]

KIND = "agent_export"
MOST_FILES = MOST_ENTRIES // 2 - 10
"""Each may have a header that says more of it."""
PATH = "exports/{name}-{at:%Y%m%dT%H%M%S}.tar.gz"


def export(run: Run, host: Host, storage: Storage) -> Document:
    """The job's result: the archive's record. Safe to repeat: one archive a job."""
    if (made := held(run, lambda: _made(run))) is not None:
        return files.public(made)
    agent, record = held(run, lambda: _at_rest(run, host))
    folder = Folder(host.root / agent["_id"])
    host.keeper(agent["_id"]).order(lambda _: folder.adopt(agent.get("imported", {}).get("job_id")))
    return files.public(patiently(run, lambda: _kept(run, host, storage, folder, agent, record)))


def _made(run: Run) -> Document | None:
    """The archive of an earlier claim. One that is not whole is given up."""
    db, mine = run.services.db, {"upload_id": run.job["_id"]}
    for record in db.drive_files.find({**mine, "state": ARRIVING}):
        files.mark(db, record, ARRIVING)
    quota.give_up(db, run.job["workspace_id"], run.job["_id"])
    return db.drive_files.find_one({**mine, "state": STORED})


def _at_rest(run: Run, host: Host) -> tuple[Agent, Record | None]:
    agent = agents.get(host.db, run.job["workspace_id"], str(run.job["agent_id"]))
    record = records.find(host.db, agent["_id"], lean=True)
    if record is not None and (record["status"] in RUNNING or record["desired"] == "running"):
        raise JobFailed(f"this agent is {record['status']}: stop it first", code="running")
    if record is not None and record["host"] not in (None, host.name):
        raise JobFailed(f"its host {record['host']} is silent, and has its files", code="host_silent")
    return agent, record


def _kept(
    run: Run, host: Host, storage: Storage, folder: Folder, agent: Agent, record: Record | None
) -> Document:
    """Raises `StorageAway`, `StorageFull`, `TooLarge`, and `JobFailed` when it did not stay at rest."""
    settings, db = run.services.settings, run.services.db
    with _writing(run, storage) as (writing, write):
        _packed(run, Packing(write), folder, agent)
        if held(run, lambda: _at_rest(run, host)) != (agent, record):
            raise JobFailed("the agent was changed or started meanwhile", code="changed")
    place = Place(
        workspace_id=agent["workspace_id"],
        agent_id=None,
        visibility=PRIVATE,
        installation=installation.name(db),
        storage=storage.kind,
        host=settings.host_of("drive"),
    )
    path, by = PATH.format(name=agent["name"], at=utcnow()), run.job["created_by"]
    name = path.rpartition("/")[2]
    return writing.kept(place, name=name, path=path, by=by, quota_bytes=settings.drive_quota)


@contextmanager
def _writing(run: Run, storage: Storage) -> Iterator[tuple[Writing, Callable[[bytes], None]]]:
    """What is being written, and how to write to it up to the largest size; dropped when that fails."""
    writing = Writing(run.services.db, storage, run.job["_id"])
    largest = run.services.settings.drive_max_file_size

    def write(data: bytes) -> None:
        writing.write(data)
        if writing.size > largest:
            raise TooLarge(f"the archive would have more than {largest} bytes (DRIVE_MAX_FILE_SIZE)")

    try:
        yield writing, write
    except BaseException:
        writing.drop()
        raise


def _packed(run: Run, packing: Packing, folder: Folder, agent: Agent) -> None:
    """Plain files alone: no link is followed. Files of the drive are in the drive."""
    most_bytes = run.services.settings.drive_max_file_size * UNPACKED
    configuration, now = portable.packed(agent), int(utcnow().timestamp())
    packing.add(CONFIGURATION, len(configuration), [configuration], mode=0o600, modified=now)
    try:
        found = [file for name in FOLDERS for file in _files(folder, name)]
        total = sum(file.size for file in found)
        if total > most_bytes or len(found) > MOST_FILES:
            raise TooLarge(
                f"an agent with more than {most_bytes} bytes or {MOST_FILES} files is not exported"
            )
        progress = Progress(run, "bytes", total=total)
        for file in found:
            _add(run, packing, folder, file, progress)
    except OSError as error:
        raise JobFailed(f"its files cannot be read: {error.strerror}", code="unreadable") from None
    packing.end()


def _files(folder: Folder, name: str) -> Iterator[folders.Found]:
    with suppress(FileNotFoundError, NotADirectoryError):  # there is none, or a link in its place
        for file in folders.files(folder.box, (name,)):
            if file.path[: len(mirror.SEEN)] != mirror.SEEN:
                yield file


def _add(run: Run, packing: Packing, folder: Folder, found: folders.Found, progress: Progress) -> None:
    with (
        folders.place(folder.box, found.path) as (inside, name),
        os.fdopen(folders.opened(inside, name), "rb") as file,
    ):
        about = os.fstat(file.fileno())
        pieces = unless_stopped(run, iter(lambda: file.read(CHUNK), b""))
        modified = int(about.st_mtime)
        packing.add("/".join(found.path), found.size, pieces, mode=about.st_mode & 0o700, modified=modified)
    progress.add(found.size)
