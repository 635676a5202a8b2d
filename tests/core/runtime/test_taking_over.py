"""A worker dies at any moment: the next one's steps go on from what stands in the store and on the disk."""

import os
import signal
import subprocess
import sys

import pytest

from core.ids import new_id
from core.runtime import orders, processes, records
from core.runtime.processes import MARK, Process
from core.runtime.states import READY, STARTING, STOPPED, STOPPING
from core.store import aside
from tests.core.runtime.conftest import here, until
from tests.core.scheduling.poison import poisoned


def only_process(world, agent):
    (one,) = world.alive(agent)
    return one


def test_a_process_that_runs_is_taken_over_as_it_is(world):
    agent = world.started()
    before, key = world.process(agent), world.keys(agent)
    world.another_worker()
    world.keeper(agent).step()
    assert world.record(agent)["status"] == READY
    assert world.process(agent) == before == only_process(world, agent)
    assert world.keys(agent) == key
    world.stop(agent)
    world.until(agent, STOPPED)
    assert not processes.alive(before)


def test_killed_before_it_started_the_process_the_next_one_starts_it(world):
    agent = world.agent()
    world.start(agent)
    world.host.launch.prepared(world.record(agent))
    assert world.alive(agent) == set()
    world.another_worker()
    world.until(agent, READY)
    assert only_process(world, agent) == world.process(agent)


def test_killed_just_after_it_started_the_process_that_one_is_known(world):
    agent = world.agent("slow=0.5")
    world.start(agent)
    keeper = world.keeper(agent)
    keeper.step()
    born = Process(keeper.body.child.pid, processes.process(keeper.body.child.pid).started)
    until(lambda: processes.noted(world.folder(agent).pid_file))
    world.db.runtimes.update_one({"_id": agent["_id"]}, {"$set": {"pid": None, "pid_started": None}})
    world.another_worker()
    world.until(agent, READY)
    assert world.process(agent) == born == only_process(world, agent)


def test_killed_before_the_process_wrote_down_who_it_is_there_is_one_all_the_same(world):
    agent = world.agent()
    world.start(agent)
    prepared = world.host.launch.prepared(world.record(agent))
    mark = world.host.marks.of(agent["_id"], prepared["instance"])
    half = subprocess.Popen([sys.executable, "-ISc", "import time; time.sleep(60)"], env={MARK: mark})
    until(lambda: world.alive(agent))
    world.another_worker()
    world.until(agent, READY)
    half.wait(60)
    assert only_process(world, agent) == world.process(agent)


def test_killed_while_it_waited_for_readiness_the_next_one_waits_on(world):
    agent = world.agent("slow=1")
    world.start(agent)
    world.keeper(agent).step()
    before = world.process(agent)
    world.another_worker()
    world.until(agent, READY)
    assert world.process(agent) == before


@pytest.mark.parametrize("told", [True, False])
def test_killed_in_the_midst_of_a_stop_the_next_one_ends_it(world, told):
    agent = world.started("slow=0")
    process = world.process(agent)
    world.stop(agent)
    world.keeper(agent).step()
    assert world.record(agent)["status"] == STOPPING
    if told:
        processes.send([process], signal.SIGTERM)
    world.another_worker()
    world.until(agent, STOPPED)
    assert world.alive(agent) == set()
    assert world.keys(agent) == []


def test_an_order_whose_job_was_lost_is_found(world, monkeypatch):
    monkeypatch.setattr("core.runtime.steps.ORDERED_S", 0)
    agent = world.agent()
    orders.start(world.db, agent, new_id())
    world.host.poll()
    world.until(agent, READY)
    orders.stop(world.db, agent, new_id())
    world.host.poll()
    world.until(agent, STOPPED)


def test_an_order_that_was_cancelled_before_anybody_took_it_starts_nothing(world):
    agent, job_id = world.agent(), new_id()
    orders.start(world.db, agent, job_id)
    job = {"_id": job_id, "workspace_id": "w", "idempotency": {"route": "", "key": job_id}}
    world.db.jobs.insert_one({**job, "status": "queued"})
    world.keeper(agent).step()
    assert world.record(agent)["desired"] == "running"
    world.db.jobs.update_one({"_id": job_id}, {"$set": {"status": "cancelled"}})
    world.keeper(agent).step()
    record = world.record(agent)
    assert (record["status"], record["desired"]) == (STOPPED, "stopped")


def test_another_process_that_has_its_pid_by_now_is_left_alone(world):
    agent = world.started()
    stranger = subprocess.Popen([sys.executable, "-ISc", "import time; time.sleep(60)"])
    process, found = world.process(agent), processes.process(stranger.pid)
    os.kill(process.pid, signal.SIGKILL)
    world.db.runtimes.update_one(
        {"_id": agent["_id"]},
        {"$set": {"pid": found.pid, "pid_started": found.started - 1}, "$inc": {"rev": 1}},
    )
    world.another_worker()
    world.until(agent, STARTING)
    world.until(agent, READY)
    world.stop(agent)
    world.until(agent, STOPPED)
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_process_without_a_record_is_cleared_away(world):
    agent = world.started()
    orphan = subprocess.Popen(
        [sys.executable, "-ISc", "import time; time.sleep(60)"],
        env={MARK: world.host.marks.of("gone", "1")},
    )
    earlier = subprocess.Popen(
        [sys.executable, "-ISc", "import time; time.sleep(60)"],
        env={MARK: world.host.marks.of(agent["_id"], "an-earlier-instance")},
    )
    until(lambda: len(world.alive(agent)) == 2)
    world.host.poll()
    assert (orphan.wait(60), earlier.wait(60)) == (-signal.SIGKILL, -signal.SIGKILL)
    assert processes.alive(world.process(agent))


def test_an_agent_that_was_placed_elsewhere_leaves_nothing_here_but_its_state(world):
    agent = world.started()
    process = world.process(agent)
    (world.folder(agent).box / "state" / "memory").write_text("kept")
    world.db.processes.update_one({"_id": world.processes["h1"]}, {"$set": {"dead": True}})
    here(world.db, "h2")
    world.db.runtime_hosts.insert_one({"_id": "h2", "capacity": 5, "memory_free_mb": 9999.0})
    record = orders.start(world.db, agent, new_id())
    assert (record["host"], record["moved_from"], record["status"]) == ("h2", "h1", STARTING)
    assert world.keys(agent) == []
    world.host.poll()
    until(lambda: not processes.alive(process))
    keeper = world.keeper(agent)
    assert keeper.step() is None
    assert world.folder(agent).token() == ""
    assert (world.folder(agent).box / "state" / "memory").read_text() == "kept"


def test_two_records_never_have_one_port(world_of):
    world = world_of()
    one, two = world.agent(), world.agent()
    for agent in (one, two):
        world.start(agent)
    ports = {world.host.launch.prepared(records.find(world.db, a["_id"]))["port"] for a in (one, two)}
    assert len(ports) == 2
    first, last = map(int, world.settings.runtime_ports.split("-"))
    narrow = world_of(runtime_ports=f"{min(ports)}-{min(ports)}")
    three = narrow.agent()
    narrow.start(three)
    narrow.until(three, "backoff")
    assert "no port is free" in narrow.record(three)["last_error"]
    assert first <= min(ports) <= last


def test_records_of_which_nothing_can_be_made_keep_no_agent_from_its_keeper(world, monkeypatch):
    monkeypatch.setattr("core.runtime.steps.ORDERED_S", 0)
    agent = world.agent()
    copies = list(poisoned("runtimes", {**records.born("default", agent["_id"]), "host": "h1"}))
    world.db.runtimes.insert_many([{**copy, "host": "h1"} for copy in copies])
    orders.start(world.db, agent, new_id())
    world.host.start()
    try:
        until(lambda: world.record(agent)["status"] == READY)
    finally:
        world.host.close()
    laid_aside = {one["document"] for one in aside.listed(world.db)["runtime host"]}
    assert {f"{agent['_id']}~{odd}" for odd in ("rev~missing", "memory_mb~text")} <= laid_aside
    assert agent["_id"] not in laid_aside
