"""Agents' processes in a whole Vutler: many at once, workers killed in the midst, a second host that dies."""

from __future__ import annotations

import subprocess
import sys

import pytest

from core.runtime import processes
from tests.stack import ROOT, Stack
from tests.stands_in import executable

MANY = 24


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runtime")
    stack = Stack(
        folder / "data",
        without=("chat", "isolation", "drive", "sandbox"),
        OPENCLAW_PATH=str(executable(folder)),
        RUNTIME_POLL_SECONDS="2",
        RUNTIME_CAPACITY="80",
        WORKER_HOST="h1",
        LEASE_S="6",
        BEAT_S="1",
    )
    stack.start()
    stack.until(lambda: hosts(stack) == {"h1"}, "the host is there")
    yield stack
    stack.stop()
    assert processes.marked(str(stack.data_dir)) == {}


def hosts(stack):
    with stack.database() as db:
        return {host["_id"] for host in db.runtime_hosts.find()}


def agents(stack, prefix, n):
    return [
        stack.http.post(
            f"{stack.url}/agents",
            json={"name": f"{prefix}{i}", "llm_config": {"provider": "sandbox"}, "system_prompt": "slow=0.5"},
        ).json()["id"]
        for i in range(n)
    ]


def order(stack, what, ids):
    for agent in ids:
        answer = stack.http.post(f"{stack.url}/agents/{agent}/{what}", json={})
        assert answer.status_code == 202, answer.text


def running(stack):
    items = stack.http.get(f"{stack.url}/agents/running").json()["items"]
    return {item["agent_id"]: item for item in items}


def ready(stack, wanted):
    seen = running(stack)
    return set(seen) == set(wanted) and {one["status"] for one in seen.values()} == {"ready"}


@pytest.fixture(scope="module")
def many(stack):
    ids = agents(stack, "a", MANY)
    order(stack, "start", ids)
    stack.until(lambda: ready(stack, ids), "all are ready")
    return ids


def test_many_started_at_once_are_all_ready_with_a_port_each_and_no_zombie(stack, many):
    assert len({one["port"] for one in running(stack).values()}) == MANY
    command = ["ps", "-eo", "ppid=,stat="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    ours = {str(pid) for pid in stack.pids()}
    assert [line for line in listed.splitlines() if line.split()[0] in ours and "Z" in line.split()[1]] == []


def test_workers_killed_in_the_midst_of_stops_and_starts_are_followed_by_the_next(stack, many):
    order(stack, "stop", many[:12])
    killed = stack.kill("workers.main", "runtime")
    order(stack, "start", many[:8])
    stack.until(lambda: set(stack.pids("workers.main", "runtime")) - set(killed), "the next is there")
    stack.until(
        lambda: any(one["status"] == "starting" for one in running(stack).values()),
        "some start",
        every=0.05,
    )
    stack.kill("workers.main", "runtime")
    wanted = [*many[:8], *many[12:]]
    stack.until(lambda: ready(stack, wanted), "observed equals desired")
    marked = processes.marked(str(stack.data_dir))
    assert sorted(len(those) for those in marked.values()) == [1] * len(wanted)


def test_agents_of_a_host_that_dies_are_lost_and_started_anew_on_another(stack, many, tmp_path):
    settled = set(running(stack))
    environment = {**stack.environment, "WORKER_HOST": "h2"}
    with (tmp_path / "log").open("w") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "workers.main", "runtime"],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        stack.until(lambda: "h2" in hosts(stack), "the second host is there")
        ids = agents(stack, "b", 4)
        order(stack, "start", ids)
        stack.until(lambda: ready(stack, settled | set(ids)), "they are ready")
        assert {running(stack)[agent]["host"] for agent in ids} == {"h2"}  # it has more room
    finally:
        worker.kill()
        worker.wait()
    stack.until(lambda: all(running(stack)[agent]["lost"] for agent in ids), "they are lost")
    assert "its host h2 is silent" in running(stack)[ids[0]]["last_error"]
    order(stack, "start", ids)
    stack.until(lambda: ready(stack, settled | set(ids)), "they are ready again")
    assert {running(stack)[agent]["host"] for agent in ids} == {"h1"}
    assert {running(stack)[agent]["state_stayed_on"] for agent in ids} == {"h2"}
