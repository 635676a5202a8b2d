"""The stand-in as an executable, and an instance directory for it."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest

from core.agents import agents
from core.crypto import Sealer
from core.drive.local import LocalStorage
from core.ids import new_id
from core.jobs import lease
from core.runtime import orders, processes, records
from core.runtime.folder import Folder
from core.runtime.host import Host
from core.runtime.processes import Process
from core.runtime.states import READY
from tests import waiting
from tests.core.runtime.archives import Moving
from tests.stack import free_ports
from tests.stands_in import executable

PORTS = 8
READY_S = 60
"""How long a start is waited for: a busy machine fails none."""


def until(holds, what="it comes about"):
    """What `holds()` gives once it is true."""
    return waiting.until(holds, what, every=0.02)


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    """The path of the stand-in."""
    return executable(tmp_path_factory.mktemp("stand-in"))


@pytest.fixture
def folder(tmp_path):
    """Whatever carries this directory in its mark is killed in the end."""
    folder = Folder(tmp_path / "h1" / "a1")
    folder.make()
    yield folder
    for marked in processes.marked(str(tmp_path)).values():
        for one in marked:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGKILL)


class World:
    """One host over the real store. `take_steps` lets its keepers go on, as its thread would."""

    def __init__(self, db, settings, program, tmp_path, **changes):
        self.db, first = db, free_ports(PORTS)
        self.settings = settings.model_copy(
            update={
                "mongodb_database": db.name,
                "data_dir": tmp_path / "data",
                "openclaw_path": program,
                "worker_host": "h1",
                "runtime_poll_seconds": 0.2,
                "runtime_ready_seconds": READY_S,
                "runtime_stop_grace": 60,
                "runtime_capacity": 100,
                "runtime_ports": f"{first}-{first + PORTS - 1}",
                **changes,
            }
        )
        self.processes = {"h1": here(db, "h1")}
        self.workers = []
        self.host = self.another_worker()

    def another_worker(self):
        """The next worker of this host: it knows nothing but what stands in the store and on the disk."""
        self.host = Host(self.db, self.settings, Sealer(b"k" * 32))
        self.workers.append(self.host)
        self.host.poll()
        return self.host

    def agent(self, prompt="", **more):
        """A new agent whose process behaves as its prompt says; its document."""
        agent_id = new_id()
        agent = agents.born("default", agent_id, {"name": agent_id, "system_prompt": prompt, **more})
        agent["llm_config"] = agents.demo("default")["llm_config"]
        self.db.agents.insert_one(agent)
        return agent

    def started(self, prompt="", status=READY, **more):
        """An agent that was ordered to start, once it has this status."""
        agent = self.agent(prompt, **more)
        self.start(agent)
        self.until(agent, status)
        return agent

    def start(self, agent):
        record = orders.start(self.db, agent, new_id())
        self.order(agent, lambda keeper, record: keeper.begin(record, self.host.spec_of(self.record(agent))))
        return record

    def stop(self, agent, **more):
        orders.stop(self.db, agent, new_id(), **more)
        self.order(agent, lambda keeper, record: None)

    def restart(self, agent):
        orders.start(self.db, agent, new_id())
        plan, good = self.host.spec_of(self.record(agent)), self.record(agent)["good"]
        self.order(agent, lambda keeper, record: keeper.begin_again(record, plan, good, "job"))

    def order(self, agent, act):
        keeper = self.keeper(agent)
        keeper.order(lambda record: act(keeper, record))

    def keeper(self, agent):
        return self.host.keeper(agent["_id"])

    def record(self, agent):
        return records.find(self.db, agent["_id"])

    def until(self, agent, *statuses):
        """The record, once steps have led to one of these states."""

        def reached():
            self.keeper(agent).step()
            record = self.record(agent)
            return record["status"] in statuses and record

        return until(reached, f"it is {' or '.join(statuses)}")

    def process(self, agent):
        """Its main process, living."""
        record = self.record(agent)
        return Process(record["pid"], record["pid_started"])

    def alive(self, agent):
        """All living processes that carry a mark of this agent."""
        marked = processes.marked(f"{self.host.root}/{agent['_id']}/")
        return {one for those in marked.values() for one in those}

    def folder(self, agent):
        return Folder(self.host.root / agent["_id"])

    def keys(self, agent):
        return list(self.db["keys"].find({"agents": agent["_id"]}))

    def end(self):
        for one in (one for those in processes.marked(f"{self.host.root}/").values() for one in those):
            processes.send([one], signal.SIGKILL)
        keepers = [keeper for worker in self.workers for keeper in worker._keepers.values()]
        for child in (keeper.body.child for keeper in keepers if keeper.body.child is not None):
            child.wait(60)


def here(db, name):
    """The lease of a runtime worker on a host."""
    return lease.register(db, role="runtime", host=name, queues=[f"runtime.{name}"], slots=1, version="t")


@pytest.fixture
def world_of(db, settings, program, tmp_path):
    worlds = []

    def make(**changes):
        worlds.append(World(db, settings, program, tmp_path, **changes))
        return worlds[-1]

    yield make
    for world in worlds:
        world.end()


@pytest.fixture
def world(world_of):
    return world_of()


@pytest.fixture
def moving(world_of, redis_client, tmp_path):
    """Takes agents elsewhere, by a drive on disk."""
    (tmp_path / "drive").mkdir()
    return Moving(world_of(), redis_client, LocalStorage(tmp_path / "drive"))
