"""Keeps one agent of this host as it is desired, one step at a time: see `core.runtime.steps`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import structlog

from core.runtime import instance_keys, log_file, records
from core.runtime.body import Body
from core.runtime.documents import Record, Spec
from core.runtime.folder import Folder
from core.runtime.records import NO_PROCESS
from core.runtime.states import BACKOFF, FAILED, STARTING, STOPPED, STOPPING, WITH_PROCESS

if TYPE_CHECKING:
    from core.runtime.host import Host

Document = dict[str, Any]
Step = Callable[["Keeper", Record], float]
"""Does what is next in a state; the seconds after which to look again."""

LOG_BYTES = 10_000_000
OVERTAKEN_S = 0.1
WORKING = 0.2
"""Of one processor: a process that uses more is at work."""

log = structlog.get_logger(__name__)


class Overtaken(Exception):
    """Somebody else has changed the record: look again."""


class Keeper:
    """One agent. `record`: as it was read last, without what is bulky.

    `launched`, `told_to_end`: the instances that this worker has started, and told to end. `looked_at`,
    `unready`, `cpu_s`: of the last look at a process that runs.
    """

    def __init__(self, host: Host, agent_id: str, steps: Mapping[str, Step]) -> None:
        self.host = host
        self.agent_id = agent_id
        self.folder = Folder(host.root / agent_id)
        self.body = Body(agent_id, self.folder, host.marks)
        self.record: Record | None = None
        self.launched: str | None = None
        self.told_to_end: str | None = None
        self.looked_at = float("-inf")
        self.unready = 0
        self.cpu_s = 0.0
        self._steps = steps
        self._stale = True
        self._lock = threading.Lock()

    def look_again(self) -> None:
        """Somebody may have changed the record: read it before the next step."""
        self._stale = True

    def step(self) -> float | None:
        """Do what is next; None: there is nothing to keep here. Raises `PyMongoError`, and goes on later."""
        with self._lock:
            record = self._current()
            if record is None or record["host"] != self.host.name:
                self._give_away()
                return None
            log_file.rotate(self.folder.console, LOG_BYTES)
            try:
                return self._steps[record["status"]](self, record)
            except Overtaken:
                self._stale = True
                return OVERTAKEN_S

    def order(self, carry_out: Callable[[Record], object]) -> Record | None:
        """Change the record between two steps. The record then; None: another host has it."""
        with self._lock:
            self._stale = True
            record = self._current()
            if record is None or record["host"] != self.host.name:
                return None
            try:
                carry_out(record)
            except Overtaken:
                self._stale = True
            return self._current()

    def begin(self, record: Record, plan: Spec) -> None:
        """Start it, unless a process of it is there or on its way."""
        if record["status"] in (STOPPED, FAILED, BACKOFF):
            self.start_anew(record, spec=plan, fallback=None, went_back=None)

    def begin_again(self, record: Record, plan: Spec, good: Spec | None, job_id: str) -> None:
        """Stop it and start it; if the new spec does not become ready, go back to the last `good` one."""
        fallback = good if good != plan else None
        changes = {"spec": plan, "fallback": fallback, "restarted_by": job_id, "went_back": None}
        if record["status"] == STOPPING:
            self.change(record, **changes)
        elif record["status"] in WITH_PROCESS:
            self.move(record, STOPPING, why="it is restarted", failures=0, **changes)
        else:
            self.start_anew(record, **changes)

    def start_anew(self, record: Record, **changes: Any) -> Record:
        """As for the first time."""
        anew: Document = {"failures": 0, "restarts": 0, "retry_at": None, "last_error": None}
        return self.move(record, STARTING, **anew, **without(record), **changes)

    def move(self, record: Record, status: str, *, why: str | None = None, **changes: Any) -> Record:
        """The next state. Raises `Overtaken`."""
        moved = self.written(records.move(self.host.db, record, status, why=why, **changes))
        log.info("runtime.moved", agent_id=self.agent_id, before=record["status"], status=status, why=why)
        if status != STARTING:
            self.host.done_starting(self.agent_id)
        return moved

    def change(self, record: Record, **changes: Any) -> Record:
        """Raises `Overtaken`."""
        return self.written(records.change(self.host.db, record, **changes))

    def written(self, record: Record | None) -> Record:
        """What was written is what is known now. Raises `Overtaken` where nothing was."""
        if record is None:
            raise Overtaken
        self.record = record
        return record

    def since_look(self) -> float:
        """Seconds since the last look at the process."""
        return time.monotonic() - self.looked_at

    def looked(self, problem: str | None, cpu_s: float) -> bool:
        """A look was taken; was the process at work since the one before?"""
        working = cpu_s - self.cpu_s > WORKING * self.since_look()
        self.looked_at, self.cpu_s = time.monotonic(), cpu_s
        self.unready = 0 if problem is None else self.unready + 1
        return working

    def clean_up(self, record: Record) -> None:
        """Nothing of the process stays: no child, no key, no token on disk."""
        self.body.end(self.body.main(record))
        instance_keys.end(self.host.db, record["workspace_id"], self.agent_id)
        self.folder.forget()

    def _current(self) -> Record | None:
        if self._stale:
            self.record = records.find(self.host.db, self.agent_id, lean=True)
            self._stale = False
        return self.record

    def _give_away(self) -> None:
        """Another host has it, or nobody: what is left of it here goes, but for its own state."""
        self.body.end(None)
        self.folder.forget()
        self.host.done_starting(self.agent_id)


def without(record: Record) -> Document:
    """What a record says when there is no process."""
    return {
        **NO_PROCESS,
        "port": None,
        "listens": records.silent(record["_id"]),
        "ready_at": None,
        "lost_at": None,
    }
