"""The steps: what is next for an agent in each state. None of them waits for long.

Each looks at the process and the record anew, so that whoever was killed in the midst of anything is followed
by the next worker's steps. A step returns the seconds after which to look again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from core.clock import utcnow
from core.errors import Problem
from core.jobs.model import CANCELLED, QUEUED
from core.jobs.model import RUNNING as JOB_RUNNING
from core.runtime import log_file, openclaw, ready, records
from core.runtime.documents import Record
from core.runtime.keeper import Keeper, Step, without
from core.runtime.launching import CannotStart, NotNow
from core.runtime.outcome import HUNG, RECOVERED, TOO_LARGE, UNWELL, Look, back_off_s, finding, words
from core.runtime.processes import Process
from core.runtime.records import seconds_since
from core.runtime.states import BACKOFF, FAILED, READY, STARTING, STOPPED, STOPPING, UNHEALTHY

AT_ONCE_S, SOON_S, LATER_S = 0.1, 0.3, 1.0
AT_REST_S = 3600.0
"""There is nothing to do until somebody changes the record, which the host hears of."""
STABLE_S = 600.0
"""Who was ready for so long fails for the first time again."""
ORDERED_S = 60.0
"""An order is written down just before its job; after this long the job will not come any more."""
TOLD = "it was told to stop"


def stopped(keeper: Keeper, record: Record) -> float:
    """Start it when that is desired, also when the order's job was lost."""
    if record["desired"] == "running":
        return _without_an_order(keeper, record)
    if record["purge"]:
        keeper.folder.purge()
        if keeper.host.db.agents.find_one({"_id": record["_id"]}, {"_id": 1}) is None:
            keeper.host.db.runtimes.delete_one({"_id": record["_id"], "rev": record["rev"]})
            keeper.look_again()
            return AT_ONCE_S
        keeper.change(record, purge=False)
    return AT_REST_S


def _without_an_order(keeper: Keeper, record: Record) -> float:
    """It is to run, and nobody starts it: its order's job was lost, or the machine was started anew."""
    job = keeper.host.db.jobs.find_one({"_id": record["asked"]}, {"status": 1})
    if job is not None and job["status"] in (QUEUED, JOB_RUNNING):
        return LATER_S  # the job will do it
    if job is None and seconds_since(record["since"]) < ORDERED_S:
        return LATER_S  # it is just being accepted
    if job is not None and job["status"] == CANCELLED:
        keeper.change(record, desired="stopped", last_error="its start was cancelled")
        return AT_ONCE_S
    try:
        keeper.start_anew(record, spec=keeper.host.spec_of(record), fallback=None, went_back=None)
    except Problem as problem:
        keeper.change(record, desired="stopped", last_error=problem.detail)
    return AT_ONCE_S


def starting(keeper: Keeper, record: Record) -> float:
    """Launch it, or wait until it answers."""
    if record["desired"] == "stopped":
        keeper.move(record, STOPPING, why=TOLD)
        return AT_ONCE_S
    main = keeper.body.main(record)
    if main is None:
        gone = record["instance"] is not None and keeper.launched == record["instance"]
        return _ended(keeper, record) if gone else _launch(keeper, record)
    if record["pid"] is None:
        record = keeper.change(record, pid=main.pid, pid_started=main.started, started_at=utcnow())
    problem = ready.answers(record["port"] or 0, keeper.folder.token())
    if problem is None:
        return _became_ready(keeper, record)
    waited = seconds_since(record["started_at"])
    if waited > keeper.host.settings.runtime_ready_seconds:
        return _failed(keeper, record, f"not ready within {waited:.0f} s: {problem}")
    return SOON_S


def running(keeper: Keeper, record: Record) -> float:
    """It is ready, or was: look after it."""
    if record["desired"] == "stopped":
        keeper.move(record, STOPPING, why=TOLD)
        return AT_ONCE_S
    main = keeper.body.main(record)
    if main is None:
        return _ended(keeper, record)
    if keeper.since_look() >= keeper.host.settings.runtime_poll_seconds:
        return _look(keeper, record, main)
    return LATER_S


def backing_off(keeper: Keeper, record: Record) -> float:
    """Try again when it is time."""
    if record["desired"] == "stopped":
        keeper.move(record, STOPPED, why=TOLD, retry_at=None)
    elif record["retry_at"] is None or record["retry_at"] <= utcnow():
        keeper.move(record, STARTING, why="another try", restarts=record["restarts"] + 1, retry_at=None)
    return SOON_S


def failed(keeper: Keeper, record: Record) -> float:
    """Only an order changes that."""
    if record["desired"] == "stopped":
        keeper.move(record, STOPPED, why=TOLD)
        return AT_ONCE_S
    return AT_REST_S


def stopping(keeper: Keeper, record: Record) -> float:
    """Ask it to end, give its turn the grace, kill what is left; then rest, or start again."""
    main = keeper.body.main(record)
    if main is not None and keeper.told_to_end != record["instance"]:
        keeper.body.terminate(main, record["port"])
        keeper.told_to_end = record["instance"]
    if main is not None and seconds_since(record["since"]) < keeper.host.settings.runtime_stop_grace:
        return AT_ONCE_S
    keeper.clean_up(record)
    if record["desired"] == "running":
        again = record["restarts"] + 1
        keeper.move(record, STARTING, why=record["last_error"], restarts=again, **without(record))
    else:
        keeper.move(record, STOPPED, last_error=None, **without(record))
    return AT_ONCE_S


def _launch(keeper: Keeper, record: Record) -> float:
    """Of this record no process was started, by this worker at least."""
    if not keeper.host.may_start(keeper.agent_id):
        return SOON_S  # it waits for its turn
    keeper.body.end(None)  # one that an earlier worker started, and had no time to write down
    try:
        prepared = keeper.written(keeper.host.launch.prepared(record))
        plan = (records.find(keeper.host.db, keeper.agent_id) or prepared)["spec"]
        if plan is None:
            raise CannotStart("nobody knows what to start it with: start it again")
        keeper.launched = prepared["instance"]
        main = keeper.body.born(keeper.host.launch.start(prepared, keeper.folder, plan))
        keeper.change(prepared, pid=main.pid, pid_started=main.started, started_at=utcnow())
    except CannotStart as error:
        return _give_up(keeper, keeper.record or record, str(error))
    except NotNow as error:
        return _failed(keeper, keeper.record or record, str(error))
    return SOON_S


def _became_ready(keeper: Keeper, record: Record) -> float:
    whole = records.find(keeper.host.db, keeper.agent_id) or record
    keeper.unready, keeper.looked_at = 0, float("-inf")
    keeper.move(
        record,
        READY,
        ready_at=utcnow(),
        ready=True,
        good=whole["spec"],
        fallback=None,
        lost_at=None,
        last_error=whole["went_back"],
    )
    return AT_ONCE_S


def _look(keeper: Keeper, record: Record, main: Process) -> float:
    """Readiness, memory, children: noted, and acted on."""
    problem = ready.answers(record["port"] or 0, keeper.folder.token())
    usage = keeper.body.usage(main)
    working = keeper.looked(problem, usage.cpu_s)
    records.sample(
        keeper.host.db, record, ready=problem is None, memory_mb=usage.memory_mb, children=usage.children
    )
    look = Look(
        problem=problem,
        unready=keeper.unready,
        memory_mb=usage.memory_mb,
        limit_mb=keeper.host.settings.runtime_memory_mb,
        idle=lambda: not working and not keeper.host.busy(keeper.agent_id),
        unhealthy=record["status"] == UNHEALTHY,
    )
    found, why = finding(look)
    if found == TOO_LARGE:
        keeper.move(record, STOPPING, why=why, last_error=why)
        return AT_ONCE_S
    if found == HUNG:
        return _failed(keeper, record, str(why))
    if found == UNWELL:
        keeper.move(record, UNHEALTHY, why=why, last_error=why)
    elif found == RECOVERED:
        keeper.move(record, READY, why=why, lost_at=None, last_error=None)
    return LATER_S


def _ended(keeper: Keeper, record: Record) -> float:
    """It ended by itself."""
    code = keeper.body.exit_code() if keeper.launched == record["instance"] else None
    said = log_file.tail(keeper.folder.console, 1)[0] if record["ready_at"] is None else []
    why = words(code, said)
    give_up = code == openclaw.BAD_CONFIG
    return _give_up(keeper, record, why) if give_up else _failed(keeper, record, why)


def _failed(keeper: Keeper, record: Record, why: str) -> float:
    """Another try may help: after a pause that doubles, and so many times."""
    stable = record["ready_at"] is not None and seconds_since(record["ready_at"]) >= STABLE_S
    failures = 1 if stable else record["failures"] + 1
    if failures >= keeper.host.settings.runtime_give_up_after:
        return _give_up(keeper, record, f"{why}; given up after {failures} failures in a row")
    if not _went_back(keeper, record, why):
        keeper.clean_up(record)
        retry_at = utcnow() + timedelta(seconds=back_off_s(failures))
        later = {"failures": failures, "retry_at": retry_at, "last_error": why}
        keeper.move(record, BACKOFF, why=why, **later, **without(record))
    return SOON_S


def _give_up(keeper: Keeper, record: Record, why: str) -> float:
    """Another try changes nothing: it waits for an order."""
    if not _went_back(keeper, record, why):
        keeper.clean_up(record)
        failures = record["failures"] + 1
        keeper.move(record, FAILED, why=why, last_error=why, failures=failures, **without(record))
    return SOON_S


def _went_back(keeper: Keeper, record: Record, why: str) -> bool:
    """A restart that does not come up: try the last spec that did."""
    whole = records.find(keeper.host.db, keeper.agent_id)
    if whole is None or whole["fallback"] is None or record["status"] != STARTING:
        return False
    keeper.clean_up(record)
    back = {"spec": whole["fallback"], "fallback": None, "went_back": why, "last_error": why, "failures": 0}
    keeper.change(record, **back, **without(record))
    return True


STEPS: Mapping[str, Step] = {
    STOPPED: stopped,
    STARTING: starting,
    READY: running,
    UNHEALTHY: running,
    BACKOFF: backing_off,
    FAILED: failed,
    STOPPING: stopping,
}
