"""Importing an agent: what an archive has takes the place of an agent's configuration, state and workspace.

All of it is unpacked beside the agent's folder and looked at first. Then one write commits to it: the agent's
document gets the configuration, and the job that brought it. What was unpacked becomes the agent's box after
that, by whoever comes first: this job, the next worker that repeats it, or the next start.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, cast

from core.agents import agent_config, agents, credentials, managed_agents, portable
from core.documents import Agent, Imported, LlmConfig
from core.drive import files, folders
from core.drive.storage import Storage
from core.drive.work import held, patiently, same_storage, unless_stopped
from core.errors import JobFailed, Problem
from core.jobs.progress import Progress
from core.jobs.run import Run
from core.runtime import placement, records
from core.runtime.archive import CONFIGURATION, FOLDERS, UNPACKED, ArchiveRefused
from core.runtime.documents import Record
from core.runtime.folder import Folder
from core.runtime.host import Host
from core.runtime.states import RUNNING
from core.runtime.unpacking import Entry, entries

Document = dict[str, Any]

KIND = "agent_import"
TWICE = "{!r} is there twice"
ELSEWHERE = "the agent was placed on another host meanwhile"
LONGEST_CONFIGURATION = 8 * 1024 * 1024


def take_in(run: Run, host: Host, storage: Storage) -> Document:
    """The job's result. An archive that is refused changes nothing; safe to repeat."""
    folder = Folder(host.root / str(run.job["agent_id"]))
    if not held(run, lambda: _is_committed(run, host)):
        try:
            unpacked = patiently(run, lambda: _unpacked(run, storage, folder))
            os.sync()  # it is on disk before the agent's document says so
            held(run, lambda: _commit(run, host, folder, unpacked))
        except Problem:
            shutil.rmtree(folder.brought(run.job["_id"]), ignore_errors=True)
            raise
    host.keeper(str(run.job["agent_id"])).order(lambda _: folder.adopt(run.job["_id"]))
    return _shown(held(run, lambda: _agent(run, host)))


def _agent(run: Run, host: Host) -> Agent:
    return agents.get(host.db, run.job["workspace_id"], str(run.job["agent_id"]))


def _is_committed(run: Run, host: Host) -> bool:
    """Has an earlier try brought it? Raises `NotFound`; `JobFailed` for an agent that runs."""
    agent = _agent(run, host)
    if agent.get("imported", {}).get("job_id") == run.job["_id"]:
        return True
    record = records.find(host.db, agent["_id"], lean=True)
    if record is not None:
        _check_at_rest(record)
    return False


def _check_at_rest(record: Record) -> None:
    if record["status"] in RUNNING or record["desired"] == "running":
        raise JobFailed(f"this agent is {record['status']}: stop it first", code="running")


def _unpacked(run: Run, storage: Storage, folder: Folder) -> Document:
    """The archive's configuration; its files are beside the box. Raises `StorageAway`, `JobFailed`."""
    brought = _empty(folder, run.job["_id"])
    record = held(run, lambda: _archive(run, storage))
    progress = Progress(run, "bytes", total=record["size"])
    most = run.services.settings.drive_max_file_size * UNPACKED
    configuration = None
    with closing(storage.read(record["key"])) as reading:
        for entry in entries(_counted(unless_stopped(run, reading), progress), most_bytes=most):
            if entry.path == (CONFIGURATION,):
                configuration = _configuration(entry, configuration)
            else:
                _written(brought, entry)
    if configuration is None:
        raise ArchiveRefused(f"it has no {CONFIGURATION}")
    return configuration


def _empty(folder: Folder, job_id: str) -> Path:
    """Where it is unpacked, without what an earlier try has left."""
    brought = folder.brought(job_id)
    shutil.rmtree(brought, ignore_errors=True)
    folder.path.mkdir(mode=0o700, exist_ok=True)
    for path in (brought, *(brought / name for name in FOLDERS)):
        path.mkdir(mode=0o700)
    return brought


def _archive(run: Run, storage: Storage) -> Document:
    """Raises `NotFound`, and `StorageAway` for one that is kept elsewhere."""
    record = files.get(run.services.db, run.job["workspace_id"], run.job["request"]["file_id"])
    same_storage(record, storage)
    return record


def _counted(pieces: Iterator[bytes], progress: Progress) -> Iterator[bytes]:
    for piece in pieces:
        progress.add(len(piece))
        yield piece


def _configuration(entry: Entry, earlier: Document | None) -> Document:
    if earlier is not None:
        raise ArchiveRefused(TWICE.format(CONFIGURATION))
    if entry.size > LONGEST_CONFIGURATION:
        raise ArchiveRefused(f"{CONFIGURATION} has more than {LONGEST_CONFIGURATION} bytes")
    try:
        return portable.unpacked(b"".join(entry.pieces))
    except Problem as problem:
        raise ArchiveRefused(problem.detail) from None


def _written(brought: Path, entry: Entry) -> None:
    """Nothing takes the place of anything: a name that comes twice is refused."""
    try:
        with folders.place(brought, entry.path, make=True) as (folder, name):
            mode = 0o700 if entry.executable else 0o600
            with os.fdopen(os.open(name, folders.NEW, mode, dir_fd=folder), "wb") as file:
                for piece in entry.pieces:
                    file.write(piece)
                file.flush()
                os.utime(file.fileno(), (entry.modified, entry.modified))
    except (FileExistsError, NotADirectoryError):
        raise ArchiveRefused(TWICE.format("/".join(entry.path)[:200])) from None
    except OSError as error:
        raise JobFailed(f"it cannot be unpacked: {error.strerror}", code="disk_full") from None


def _commit(run: Run, host: Host, folder: Folder, unpacked: Document) -> None:
    """Between two steps of the agent's keeper, so that nothing starts it meanwhile."""
    if _is_committed(run, host):
        return
    _placed(run, host)

    def commit(record: Record) -> None:
        _check_at_rest(record)
        if not folder.brought(run.job["_id"]).is_dir():
            raise JobFailed("the agent was started meanwhile", code="superseded")
        _configured(run, host, unpacked)
        folder.adopt(run.job["_id"])

    if host.keeper(str(run.job["agent_id"])).order(commit) is None:
        raise JobFailed(ELSEWHERE, code="superseded")


def _placed(run: Run, host: Host) -> None:
    """On this host from now on: it has the files."""
    record = records.get_or_born(host.db, run.job["workspace_id"], str(run.job["agent_id"]))
    _check_at_rest(record)
    if record["host"] != host.name and not records.change(
        host.db, record, **placement.moved(record, host.name)
    ):
        raise JobFailed(ELSEWHERE, code="superseded")


def _configured(run: Run, host: Host, unpacked: Document) -> None:
    """One write: the configuration, and where the rest of it comes from."""
    agent = _agent(run, host)
    imported: Imported = {"job_id": run.job["_id"], "note": None}
    given = unpacked["llm_config"]
    configure = None if given is None else _configure(run, agent, given, imported)
    agents.change(host.db, agent, {**unpacked["agent"], "imported": imported}, configure)


def _configure(run: Run, agent: Agent, given: Document, imported: Imported) -> agents.Configure:
    """Keys do not travel: where the configuration needs one that is not here, the agent's own one stays.

    What is noted in `imported` meanwhile is written with it.
    """
    configured = partial(
        agent_config.configured,
        workspace_id=agent["workspace_id"],
        sealer=run.services.sealer,
        settings=run.services.settings,
        find_credential=lambda name: credentials.find(run.services.db, agent["workspace_id"], name),
    )

    def configure(agent_id: str, stored: LlmConfig | None) -> LlmConfig:
        imported["note"] = None
        try:
            new = configured(given, stored, agent_id=agent_id)
            managed_agents.check_room(run.services.db, agent["workspace_id"], agent_id, stored, new)
            return new
        except Problem as problem:
            imported["note"] = f"its llm_config was not taken: {problem.detail}"
            return cast(LlmConfig, stored)

    return configure


def _shown(agent: Agent) -> Document:
    note = agent.get("imported", {}).get("note")
    return {"agent_id": agent["_id"], "name": agent["name"], "llm_config": note is None, "note": note}
