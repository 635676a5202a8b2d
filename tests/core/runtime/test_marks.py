"""Marks: whatever a neighbour writes into its environment, that makes it no process of an agent."""

import signal
import stat
import subprocess
import sys

import pytest

from core.private_files import NotPrivate
from core.runtime import ending, marks, processes
from core.runtime.marks import Marks
from core.runtime.processes import MARK
from core.runtime.states import BACKOFF, READY, STOPPED
from tests.core.runtime.conftest import until

HUNGRY = "x = bytearray(b'1') * 300_000_000; print('full', flush=True); import time; time.sleep(600)"
LIMIT_MB = 150


@pytest.fixture
def neighbour():
    """Starts a process that carries this mark and uses twice what an agent may."""
    started = []

    def start(mark):
        one = subprocess.Popen(
            [sys.executable, "-ISc", HUNGRY], env={MARK: mark}, stdout=subprocess.PIPE, start_new_session=True
        )
        started.append(one)
        assert one.stdout.readline() == b"full\n"
        return one

    yield start
    for one in started:
        one.kill()
        one.communicate()


@pytest.fixture
def world(world_of):
    return world_of(runtime_memory_mb=LIMIT_MB)


def made_up(world, agent):
    return f"{world.host.root}/{agent['_id']}/x"


def sealed_with_another_key(world, agent):
    return Marks(world.host.root, b"a key of its own").of(agent["_id"], world.record(agent)["instance"])


def with_the_seal_of_another(world, agent):
    """What a process of one agent can make of its own mark."""
    own = world.host.marks.of("another", "1")
    return f"{world.host.root}/{agent['_id']}/{world.record(agent)['instance']}/{own.rpartition('/')[2]}"


def with_more_behind_it(world, agent):
    return f"{world.host.marks.of(agent['_id'], '1')}/x"


@pytest.mark.parametrize(
    "forged", [made_up, sealed_with_another_key, with_the_seal_of_another, with_more_behind_it]
)
def test_who_claims_to_be_of_an_agent_is_not_found_by_that(world, neighbour, forged):
    agent = world.started()
    neighbour(forged(world, agent))
    assert len(world.alive(agent)) == 2
    found = world.host.marks.carried(agent["_id"])
    assert found == {(agent["_id"], world.record(agent)["instance"]): {world.process(agent)}}
    assert world.host.marks.carried() == found


def test_a_neighbour_that_claims_to_be_of_an_agent_is_not_counted_as_it(world, neighbour):
    agent = world.started()
    neighbour(made_up(world, agent))
    usage = world.keeper(agent).body.usage(world.process(agent))
    assert (usage.children, usage.memory_mb < LIMIT_MB) == (0, True)
    looks = len(world.record(agent)["health"])
    until(lambda: (world.keeper(agent).step(), len(world.record(agent)["health"]) >= looks + 3)[1])
    record = world.record(agent)
    assert (record["status"], record["restarts"], record["children"]) == (READY, 0, 0)


def test_a_neighbour_that_claims_to_be_of_an_agent_is_not_ended_as_it(world, neighbour):
    agent = world.started()
    one, orphan = neighbour(made_up(world, agent)), neighbour(f"{world.host.root}/gone/1")
    world.host.poll()
    world.stop(agent)
    world.until(agent, STOPPED)
    assert ending.end_all(world.settings.data_dir, grace_s=0) == 0
    assert (one.poll(), orphan.poll()) == (None, None)


def test_what_outlived_worker_and_process_is_found_by_the_next_worker(world):
    agent = world.started("leaver")
    family = until(lambda: len(found := processes.family([world.process(agent)])) == 2 and found)
    (orphan,) = family - {world.process(agent)}
    world.another_worker()
    processes.send([world.process(agent)], signal.SIGKILL)
    until(lambda: not processes.alive(world.process(agent)))
    assert processes.alive(orphan)
    world.until(agent, BACKOFF)
    assert not processes.alive(orphan)


def test_all_workers_of_a_host_have_one_key_which_nobody_else_can_read(tmp_path):
    first = marks.of_host(tmp_path / "h1")
    assert marks.of_host(tmp_path / "h1") == first
    assert marks.of_host(tmp_path / "h2").key != first.key
    assert stat.S_IMODE((tmp_path / "h1" / marks.KEY_FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "h1").stat().st_mode) == 0o700
    assert first.key.decode() not in repr(first)
    assert first.key.decode() not in first.of("a1", "1")


def test_a_key_that_others_may_have_written_is_none(tmp_path):
    marks.of_host(tmp_path)
    (tmp_path / marks.KEY_FILE).chmod(0o666)
    with pytest.raises(NotPrivate):
        marks.of_host(tmp_path)
