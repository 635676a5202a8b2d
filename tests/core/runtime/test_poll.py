"""The scheduler's look at the hosts: who is silent is lost, and its agents say so."""

import pytest

from core.ids import new_id
from core.jobs import lease
from core.runtime import instance_keys, orders, placement, records
from core.runtime.poll import Poll
from core.runtime.states import BACKOFF, FAILED, READY, STARTING, STOPPED, STOPPING, UNHEALTHY
from tests.core.runtime.conftest import here

PATIENCE_S = 30


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def poll(db, clock):
    return Poll(db, patience_s=PATIENCE_S, monotonic=clock)


@pytest.fixture
def worker(db):
    """The lease of the worker of h1."""
    placement.describe(db, "h1", capacity=9, free_mb=9000, used_mb=0, agents=0)
    return here(db, "h1")


def on_h1(db, status, **changes):
    agent_id = new_id()
    record = {**records.born("default", agent_id), "host": "h1", "status": status, "desired": "running"}
    db.runtimes.insert_one({**record, **changes})
    return agent_id


def declare_dead(db, process_id):
    assert lease.declare_dead(db, process_id, 0)


def test_while_its_worker_lives_nothing_is_lost(db, poll, worker):
    agent = on_h1(db, READY)
    assert poll.tick()["lost"] == 0
    assert records.find(db, agent)["status"] == READY


def test_agents_of_a_worker_that_was_declared_dead_are_lost_in_words(db, poll, worker):
    agent = on_h1(db, READY, ready=True)
    declare_dead(db, worker)
    assert poll.tick()["lost"] == 1
    record = records.find(db, agent)
    assert (record["status"], record["ready"]) == (UNHEALTHY, False)
    assert record["last_error"].startswith("its host h1 is silent since 20")
    assert record["last_error"].endswith("start it anew to place it on another")
    assert record["lost_at"] is not None
    assert poll.tick()["lost"] == 0


@pytest.mark.parametrize(
    ("before", "after"),
    [(STARTING, UNHEALTHY), (UNHEALTHY, UNHEALTHY), (BACKOFF, BACKOFF), (STOPPING, STOPPING)],
)
def test_whatever_runs_is_lost(db, poll, worker, before, after):
    agent = on_h1(db, before)
    declare_dead(db, worker)
    assert poll.tick()["lost"] == 1
    assert records.find(db, agent)["status"] == after
    assert records.find(db, agent)["lost_at"] is not None


@pytest.mark.parametrize("status", [STOPPED, FAILED])
def test_what_does_not_run_is_not_lost(db, poll, worker, status):
    on_h1(db, status)
    declare_dead(db, worker)
    assert poll.tick()["lost"] == 0


def test_a_worker_that_left_in_good_order_may_be_followed_by_the_next(db, poll, worker, clock):
    agent = on_h1(db, READY)
    lease.retire(db, worker)
    for clock.now in (0, PATIENCE_S - 1):
        assert poll.tick()["lost"] == 0
    here(db, "h1")
    clock.now = PATIENCE_S + 1
    assert poll.tick()["lost"] == 0
    assert records.find(db, agent)["status"] == READY


def test_but_not_for_ever(db, poll, worker, clock):
    on_h1(db, READY)
    lease.retire(db, worker)
    assert poll.tick()["lost"] == 0
    clock.now = PATIENCE_S
    assert poll.tick()["lost"] == 1


def test_another_host_is_no_help_and_no_harm(db, poll, worker):
    on_h1(db, READY)
    placement.describe(db, "h2", capacity=9, free_mb=9000, used_mb=0, agents=0)
    here(db, "h2")
    declare_dead(db, worker)
    assert poll.tick()["lost"] == 1


def test_a_lost_agent_comes_back_with_its_host(world):
    agent = world.started()
    before = world.process(agent)
    declare_dead(world.db, world.processes["h1"])
    assert Poll(world.db, patience_s=0).tick()["lost"] == 1
    assert world.record(agent)["status"] == UNHEALTHY
    here(world.db, "h1")
    world.another_worker()
    record = world.until(agent, READY)
    assert (record["lost_at"], record["last_error"]) == (None, None)
    assert world.process(agent) == before


def test_a_job_of_a_lost_host_is_placed_anew(db, poll, worker):
    agent = on_h1(db, READY, asked=new_id())
    declare_dead(db, worker)
    assert orders.place(db, agent, "agent_start") is None
    placement.describe(db, "h2", capacity=9, free_mb=9000, used_mb=0, agents=0)
    here(db, "h2")
    assert orders.place(db, agent, "agent_stop") == "h2"  # which says in words that h1 is silent
    assert records.find(db, agent)["host"] == "h1"
    assert orders.place(db, agent, "agent_start") == "h2"
    record = records.find(db, agent)
    assert (record["host"], record["moved_from"], record["status"]) == ("h2", "h1", STARTING)
    assert orders.place(db, agent, "agent_stop") == "h2"


def test_keys_of_instances_that_are_gone_end(db, poll, worker):
    agent = {"_id": on_h1(db, READY, instance="i2"), "workspace_id": "default", "name": "a"}
    agent |= {"runtime_budget_usd": None, "runtime_budget_period": "month"}
    instance_keys.make(db, agent, "i1")
    assert poll.tick()["keys_ended"] == 1
    instance_keys.make(db, agent, "i2")
    assert poll.tick()["keys_ended"] == 0
    db.runtimes.delete_one({"_id": agent["_id"]})
    assert poll.tick()["keys_ended"] == 1
