"""The host: all agents that are placed on this machine, kept by this worker and by no other.

A thread looks around: it lets each agent's keeper take its steps, reads now and then what was changed from
elsewhere, clears away processes that are nobody's, and tells what room there is.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from signal import SIGKILL
from typing import Any, TextIO

import structlog
from pymongo.database import Database
from pymongo.errors import PyMongoError

from core.agents import agents, credentials
from core.config import Settings
from core.crypto import Sealer
from core.jobs.model import RUNNING
from core.runtime import marks, placement, processes, records, spec
from core.runtime.documents import Record, Spec
from core.runtime.folder import of_all_hosts
from core.runtime.keeper import Keeper
from core.runtime.launching import Launch
from core.runtime.marks import Instance
from core.runtime.processes import Process
from core.runtime.steps import STEPS
from core.store import aside

Document = dict[str, Any]

LOOP = "runtime host"
LOOK_S = 0.1
STEPS_AT_ONCE = 16
AWAY_S, CRASHED_S = 1.0, 5.0
WORK = ("runtime", "agent_message")
"""The kinds of job that an agent's process is in the midst of."""

log = structlog.get_logger(__name__)


class Host:
    """`keeper(agent_id)` gives who keeps an agent here; `start` begins to look around."""

    def __init__(self, db: Database[Document], settings: Settings, sealer: Sealer) -> None:
        self.db = db
        self.settings = settings
        self.name = settings.worker_host
        self.root = of_all_hosts(settings.data_dir) / self.name
        self.marks = marks.of_host(self.root)
        self.launch = Launch(db, settings, sealer, self.marks)
        self.starts_at_once = max(4, 2 * (os.cpu_count() or 1))
        self._keepers: dict[str, Keeper] = {}
        self._due: dict[str, float] = {}
        self._under_way: set[str] = set()
        self._starting: set[str] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._polled_at = float("-inf")
        self._pool = ThreadPoolExecutor(STEPS_AT_ONCE, thread_name_prefix="step")
        self._thread = threading.Thread(target=self._look_around, name="host", daemon=True)
        self._held: TextIO | None = None

    def start(self) -> None:
        """Once no other worker of this host's name runs here: its agents have one keeper."""
        self._held = alone(self.root / "lock", log.warning)
        self._thread.start()

    def close(self) -> None:
        """Look around no more. The agents live on."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._held is not None:
            self._held.close()

    def keeper(self, agent_id: str) -> Keeper:
        """Who keeps this agent; it looks at the record anew."""
        with self._lock:
            keeper = self._keepers.get(agent_id)
            if keeper is None:
                keeper = self._keepers[agent_id] = Keeper(self, agent_id, STEPS)
            keeper.look_again()
            self._due[agent_id] = 0.0
        return keeper

    def spec_of(self, record: Record) -> Spec:
        """What a process of this agent would be started with now. Raises a `Problem`."""
        workspace = record["workspace_id"]
        agent = agents.ready(self.db, workspace, record["_id"])
        return spec.of(agent, self.settings, lambda name: credentials.find(self.db, workspace, name))

    def may_start(self, agent_id: str) -> bool:
        """Only so many start at the same time: each takes a processor for some seconds."""
        with self._lock:
            if agent_id not in self._starting and len(self._starting) >= self.starts_at_once:
                return False
            self._starting.add(agent_id)
            return True

    def done_starting(self, agent_id: str) -> None:
        """The next one may."""
        with self._lock:
            self._starting.discard(agent_id)

    def busy(self, agent_id: str) -> bool:
        """Is the agent in the midst of a turn?"""
        working = {"status": RUNNING, "agent_id": agent_id, "kind": {"$in": list(WORK)}}
        return self.db.jobs.find_one(working, {"_id": 1}) is not None

    def poll(self) -> None:
        """What was changed from elsewhere, what is nobody's, what room there is. Raises `PyMongoError`.

        A record of which nothing can be made keeps no other agent from its keeper.
        """
        marked = self.marks.carried()  # before the records: each was written before its process
        found = {record["_id"]: record for record in records.on_host(self.db, self.name)}
        self._clear_away(marked, found)
        used = sum(aside.each(self.db, LOOP, found.values(), self._seen))
        for agent_id in self._keepers.keys() - found.keys():
            self.keeper(agent_id)
        placement.describe(
            self.db,
            self.name,
            capacity=self.settings.runtime_capacity,
            free_mb=processes.available_mb(),
            used_mb=used,
            agents=sum(record.get("pid") is not None for record in found.values()),
        )

    def _seen(self, record: Record) -> float:
        """Its keeper looks again if it was changed. Returns the memory that it has, in MB."""
        known = self._keepers.get(record["_id"])
        if known is None or known.record is None or known.record["rev"] != record["rev"]:
            self.keeper(record["_id"])
        return 0.0 + record["memory_mb"]  # a text, of which `float` would make a number, is put aside

    def _clear_away(self, marked: dict[Instance, set[Process]], found: dict[str, Record]) -> None:
        """Processes without a record, and of instances that have been followed by others."""
        for (agent_id, instance), those in marked.items():
            record = found.get(agent_id)
            if record is None or record.get("instance") != instance:
                log.warning("runtime.orphans_killed", agent_id=agent_id, n=processes.send(those, SIGKILL))

    def _look_around(self) -> None:
        while not self._closing.wait(LOOK_S):
            try:
                if time.monotonic() - self._polled_at >= self.settings.runtime_poll_seconds:
                    self.poll()
                    self._polled_at = time.monotonic()
            except PyMongoError as error:
                log.warning("runtime.store_away", error=type(error).__name__)
                self._closing.wait(AWAY_S)
            except Exception:
                log.exception("runtime.poll_failed")
                self._polled_at = time.monotonic()
            try:
                self._take_steps()
            except RuntimeError as error:  # no thread is left: the next look comes to who is still due
                log.warning("runtime.step_waits", error=str(error))

    def _take_steps(self) -> None:
        now = time.monotonic()
        with self._lock:
            due = [one for one, at in self._due.items() if at <= now and one not in self._under_way]
        for agent_id in due:
            with self._lock:
                self._under_way.add(agent_id)
                self._due[agent_id] = float("inf")
            self._pool.submit(self._step, agent_id)

    def _step(self, agent_id: str) -> None:
        keeper = self._keepers[agent_id]
        pause: float | None = CRASHED_S
        try:
            pause = keeper.step()
        except PyMongoError as error:
            log.warning("runtime.store_away", agent_id=agent_id, error=type(error).__name__)
            pause = AWAY_S
        except Exception:  # whatever it is: the next step comes, and all other agents' too
            log.exception("runtime.step_failed", agent_id=agent_id)
        finally:
            self._stepped(agent_id, pause)

    def _stepped(self, agent_id: str, pause: float | None) -> None:
        with self._lock:
            self._under_way.discard(agent_id)
            asked_meanwhile = self._due[agent_id] == 0.0
            if pause is None and not asked_meanwhile:
                del self._keepers[agent_id], self._due[agent_id]
            else:
                self._due[agent_id] = min(self._due[agent_id], time.monotonic() + (pause or 0.0))


def alone(file: Path, warn: Callable[..., object]) -> TextIO:
    """An open file that holds a lock, as soon as nobody else has it."""
    held = file.open("w")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        warn("runtime.waits_for_another_worker", lock=str(file))
        fcntl.flock(held, fcntl.LOCK_EX)
    return held
