"""The runtime's jobs. The host starts and stops step by step; a job waits, and tells how far.

A job that is taken up again after its worker died finds what was done already, and waits for the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from pymongo.database import Database

from core.drive import storages
from core.drive.storage import Storage
from core.errors import JobFailed, Problem
from core.jobs.events import Emitter
from core.jobs.run import Handler, Run
from core.runtime import exporting, importing, messages, orders, records
from core.runtime.documents import Record
from core.runtime.host import Host
from core.runtime.keeper import Keeper
from core.runtime.log_requests import LogServer
from core.runtime.states import FAILED, READY, STARTING, STOPPED
from core.runtime.sync import Sync
from core.services import Services, connect_redis
from core.store.repeat import through_outages

Document = dict[str, Any]

LOOK_S = 0.1
PATIENCE_S = 30.0
"""Beyond the time that one start may take: for a short failure and another try."""
STATE_STAYED = "OpenClaw's own state, its sessions and memory, stayed on {host}"


def handlers(services: Services) -> dict[str, Handler]:
    """What a runtime worker does for each kind of job, with the host that it keeps until the process ends."""
    host = Host(services.db, services.settings, services.sealer)
    host.start()
    settings = services.settings
    listening = connect_redis(settings)
    logs = LogServer(host.name, host.root, services.redis, listening)
    logs.start()
    storage = storages.make(settings, services.run)
    sync = Sync(services.db, services.send, settings, storage, host.root)
    sync.start()
    services.cleanups += [listening.close, logs.close, host.close, sync.close]
    return {**carried_out_by(host, sync), **carried_elsewhere_by(host, storage)}


def carried_out_by(host: Host, sync: Sync | None = None) -> dict[str, Handler]:
    """The handlers, over a host that the caller started and will close. `sync`: of its agents' files."""
    return {
        "agent_start": partial(start, host=host, sync=sync),
        "agent_stop": partial(stop, host=host),
        "agent_restart": partial(restart, host=host),
        "agent_message": partial(messages.message, host=host),
    }


def carried_elsewhere_by(host: Host, storage: Storage) -> dict[str, Handler]:
    """The handlers of what leaves this host, or comes to it."""
    return {
        exporting.KIND: partial(exporting.export, host=host, storage=storage),
        importing.KIND: partial(importing.take_in, host=host, storage=storage),
    }


def place(db: Database[Document], job: Document) -> str | None:
    """The host that should carry out a job whose own host is gone."""
    return orders.place(db, job["agent_id"], job["kind"])


def start(run: Run, host: Host, sync: Sync | None = None) -> Document:
    """Ready when this ends, with its files; one that was ready before is left alone."""
    keeper = host.keeper(str(run.job["agent_id"]))
    before = _desired(run, keeper, "running")
    if before["status"] == READY:
        return {**_shown(before), "already": True}
    try:
        plan = host.spec_of(before)
    except Problem as problem:
        _never_mind(host, before, problem.detail)
        raise
    keeper.order(lambda record: keeper.begin(record, plan))
    ready = _ready(run, host, keeper)
    if sync is not None:
        through_outages(lambda: sync.of(ready), what="drive_sync", give_up=run.told_to_stop.is_set)
    return {**_shown(ready), "already": False}


def stop(run: Run, host: Host) -> Document:
    """At rest when this ends: no process, no port, no key. Of a silent host it says so."""
    record = records.find(host.db, str(run.job["agent_id"]), lean=True)
    if record is None or (record["status"] == STOPPED and not record["purge"]):
        return {"status": STOPPED, "already": True}
    if record["host"] != host.name:
        note = f"{orders.SILENT.format(host=record['host'])}: its process ends when the host is back"
        return {"status": record["status"], "already": False, "note": note}
    keeper = host.keeper(record["_id"])
    _desired(run, keeper, "stopped")
    _wait(run, keeper, lambda seen: seen["status"] == STOPPED and not seen["purge"])
    return {"status": STOPPED, "already": False}


def restart(run: Run, host: Host) -> Document:
    """With the configuration of now; if that does not become ready, with the last one that did."""
    keeper, job_id = host.keeper(str(run.job["agent_id"])), run.job["_id"]
    before = _desired(run, keeper, "running")
    if before["restarted_by"] != job_id:
        plan, whole = host.spec_of(before), records.find(host.db, keeper.agent_id)
        good = whole["good"] if whole else None
        keeper.order(lambda record: keeper.begin_again(record, plan, good, job_id))
    ended = _ready(run, host, keeper, since=job_id)
    if ended["went_back"]:
        run.partial = {**_shown(ended), "went_back": True}
        raise JobFailed(
            f"the new configuration did not become ready ({ended['went_back']}); "
            "the agent runs on with the last one that did",
            code="went_back",
        )
    return {**_shown(ended), "went_back": False}


def _desired(run: Run, keeper: Keeper, desired: str) -> Record:
    """The record, if this order still stands. Raises `JobFailed` when a later one does."""
    record = keeper.order(lambda _: None)  # it is read anew
    if record is None:
        raise JobFailed("the agent was placed on another host meanwhile", code="superseded")
    _stands(record, run.job["_id"], desired)
    return record


def _stands(record: Record, job_id: str, desired: str) -> None:
    if record["asked"] > job_id and record["desired"] != desired:
        raise JobFailed(f"a later order says that the agent is to be {record['desired']}", code="superseded")


def _ready(run: Run, host: Host, keeper: Keeper, since: str | None = None) -> Record:
    """The record once it is ready. `since`: the restart that must have come before. Raises `JobFailed`."""
    patience = host.settings.runtime_ready_seconds + PATIENCE_S
    waited = 0.0

    def settled(seen: Record) -> bool:
        nonlocal waited
        _stands(seen, run.job["_id"], "running")
        if since is not None and seen["restarted_by"] != since:
            return False
        if seen["status"] == FAILED:
            raise JobFailed(seen["last_error"] or "it does not start", code="not_started")
        waits_for_its_turn = seen["status"] == STARTING and seen["instance"] is None
        waited += 0.0 if waits_for_its_turn else LOOK_S
        if waited > patience:
            why = seen["last_error"] or "it does not answer"
            raise JobFailed(f"not ready yet: {why}; its host goes on trying", code="not_ready")
        return seen["status"] == READY

    try:
        return _wait(run, keeper, settled)
    except InterruptedError:
        if run.stopped == "cancelled":
            _never_mind(host, keeper.record, "its start was cancelled")
        raise


def _wait(run: Run, keeper: Keeper, settled: Callable[[Record], bool]) -> Record:
    """The record once it is settled; tells each state on the way. Raises `InterruptedError`."""
    told: tuple[str, str | None] | None = None
    emitter = Emitter(run.services.redis, run.job["_id"], run.job["attempt"])
    while True:
        record = keeper.record
        if record is not None:
            if settled(record):
                return record
            if told != (record["status"], record["last_error"]):
                told = (record["status"], record["last_error"])
                _tell(run, emitter, record)
        if run.told_to_stop.wait(LOOK_S):
            raise InterruptedError


def _tell(run: Run, emitter: Emitter, record: Record) -> None:
    progress = {"status": record["status"], "host": record["host"], "detail": record["last_error"]}
    emitter.emit("progress", progress)
    mine = {"_id": run.job["_id"], "fence": run.job["fence"]}
    through_outages(
        lambda: run.services.db.jobs.update_one(mine, {"$set": {"progress": progress}}),
        what="progress",
        give_up=run.told_to_stop.is_set,
    )


def _never_mind(host: Host, record: Record | None, why: str) -> None:
    """What was asked for is not wanted any more, or cannot be."""
    if record is not None and records.change(host.db, record, desired="stopped", last_error=why):
        host.keeper(record["_id"])


def _shown(record: Record) -> Document:
    moved = record["moved_from"]
    note = STATE_STAYED.format(host=moved) if moved else None
    return {
        "status": record["status"],
        **{name: record[name] for name in ("host", "pid", "port")},
        **({"note": note} if note else {}),
    }
