"""An agent's process from its start to its end, with every way in which it may misbehave."""

import json
import os
import signal
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from core.clock import utcnow
from core.runtime import processes, ready
from core.runtime.states import BACKOFF, FAILED, READY, STARTING, STOPPED, STOPPING, UNHEALTHY
from tests.core.runtime.conftest import until


def moves(world, agent):
    return [event["status"] for event in world.record(agent)["events"]]


def nothing_left(world, agent):
    """No process, no port, no key, no token, no configuration."""
    record = world.record(agent)
    assert world.alive(agent) == set()
    assert (record["pid"], record["instance"], record["port"]) == (None, None, None)
    assert record["listens"] == f"none:{agent['_id']}"
    assert world.keys(agent) == []
    folder = world.folder(agent)
    assert (folder.token(), folder.config.exists(), folder.pid_file.exists()) == ("", False, False)


def test_it_is_started_becomes_ready_and_is_stopped(world):
    agent = world.started("Be brief.")
    record = world.record(agent)
    assert moves(world, agent) == [STARTING, READY]
    assert (record["host"], record["ready"], record["last_error"]) == ("h1", True, None)
    assert world.alive(agent) == {world.process(agent)}
    assert ready.answers(record["port"], world.folder(agent).token()) is None
    world.stop(agent)
    world.until(agent, STOPPED)
    assert moves(world, agent) == [STARTING, READY, STOPPING, STOPPED]
    nothing_left(world, agent)
    assert world.keeper(agent).body.child.returncode == 0
    assert world.folder(agent).console.read_text().split() == ["gateway", "ready"]


def test_it_finds_the_prompt_the_tools_and_our_door_and_no_other_provider(world):
    agent = world.started("Be brief.", tools=["read", "web_fetch"])
    folder = world.folder(agent)
    config = json.loads(folder.config.read_text())
    assert (folder.workspace / "AGENTS.md").read_text() == "Be brief."
    assert config["agents"]["entries"]["main"]["tools"] == {
        "allow": ["read", "web_fetch"],
        "deny": ["exec", "process"],
    }
    assert list(config["models"]["providers"]) == ["vutler"]
    door = config["models"]["providers"]["vutler"]
    assert (door["baseUrl"], door["apiKey"]) == ("http://127.0.0.1:3001/v1", "${VUTLER_AGENT_KEY}")
    assert config["agents"]["defaults"]["model"] == {"primary": f"vutler/{agent['_id']}"}
    assert stat.S_IMODE(folder.config.stat().st_mode) == 0o600


def test_its_key_is_in_its_environment_alone_and_dies_with_it(world):
    agent = world.started()
    (key,) = world.keys(agent)
    assert (key["role"], key["agents"], key["counts_as"]) == (
        "runtime",
        [agent["_id"]],
        f"runtime:{agent['_id']}",
    )
    environment = Path(f"/proc/{world.process(agent).pid}/environ").read_bytes().split(b"\0")
    (text,) = [line.partition(b"=")[2] for line in environment if line.startswith(b"VUTLER_AGENT_KEY=")]
    files = [path for path in world.settings.data_dir.rglob("*") if path.is_file()]
    assert files
    assert not any(text in path.read_bytes() for path in files)
    world.stop(agent)
    world.until(agent, STOPPED)
    assert world.keys(agent) == []


def test_a_slow_start_is_waited_for(world):
    agent = world.agent("slow=0.5")
    world.start(agent)
    world.until(agent, READY)
    assert moves(world, agent) == [STARTING, READY]


def test_one_that_is_never_ready_is_killed_and_tried_again_then_given_up(world_of):
    world = world_of(runtime_ready_seconds=0.3, runtime_give_up_after=2)
    agent = world.started("never-ready", status=FAILED)
    record = world.record(agent)
    assert moves(world, agent) == [STARTING, BACKOFF, STARTING, FAILED]
    assert "not ready within" in record["last_error"]
    assert "nothing answers on port" in record["last_error"]
    assert "given up after 2 failures in a row" in record["last_error"]
    nothing_left(world, agent)


def test_a_configuration_that_is_refused_is_never_tried_again(world):
    agent = world.started("exit=78", status=FAILED)
    assert moves(world, agent) == [STARTING, FAILED]
    assert world.record(agent)["last_error"] == (
        "the process ended with exit code 78: this configuration cannot be used"
    )
    nothing_left(world, agent)


def test_one_that_fails_is_tried_again_after_a_pause_that_doubles(world_of):
    world = world_of(runtime_give_up_after=4)
    agent, pauses = world.started("exit=1", status=BACKOFF), []
    for _ in range(2):
        record = world.record(agent)
        pauses.append(round((record["retry_at"] - record["since"]).total_seconds()))
        world.db.runtimes.update_one(
            {"_id": agent["_id"]}, {"$set": {"retry_at": utcnow()}, "$inc": {"rev": 1}}
        )
        world.until(agent, STARTING)
        world.until(agent, BACKOFF)
    assert pauses == [1, 2]
    assert world.record(agent)["restarts"] == 2
    assert "exit code 1" in world.record(agent)["last_error"]


def test_one_that_dies_is_started_again_with_a_new_key(world):
    agent = world.started("once:dies=0.3")
    (before,), first = world.keys(agent), world.process(agent)
    world.until(agent, BACKOFF)
    nothing_left(world, agent)
    world.until(agent, READY)
    (after,) = world.keys(agent)
    assert before["_id"] != after["_id"]
    assert world.process(agent) != first
    assert world.record(agent)["restarts"] == 1


def test_one_that_dies_at_random_is_started_again_each_time_until_it_is_stopped(world_of):
    world = world_of(runtime_give_up_after=50)
    agent = world.started("dies-at-random", status=STARTING)
    for deaths in range(1, 4):
        world.until(agent, BACKOFF)
        nothing_left(world, agent)
        world.db.runtimes.update_one(
            {"_id": agent["_id"]}, {"$set": {"retry_at": utcnow()}, "$inc": {"rev": 1}}
        )
        world.until(agent, STARTING)
        assert world.record(agent)["restarts"] == deaths
    world.stop(agent)
    world.until(agent, STOPPED)
    nothing_left(world, agent)


def test_who_was_ready_for_long_fails_for_the_first_time_again(world_of):
    world = world_of(runtime_give_up_after=2)
    agent = world.started("once:dies=0.3")
    world.until(agent, BACKOFF)
    world.until(agent, READY)
    world.db.runtimes.update_one(
        {"_id": agent["_id"]}, {"$set": {"ready_at": utcnow() - timedelta(hours=1)}, "$inc": {"rev": 1}}
    )
    processes.send([world.process(agent)], signal.SIGKILL)
    assert world.until(agent, BACKOFF, FAILED)["status"] == BACKOFF
    assert world.record(agent)["failures"] == 1


def test_one_that_ignores_being_told_to_end_is_killed_after_the_grace(world_of):
    world = world_of(runtime_stop_grace=0.5)
    agent = world.started("deaf")
    world.stop(agent)
    world.until(agent, STOPPING)
    assert processes.alive(world.process(agent))
    world.until(agent, STOPPED)
    nothing_left(world, agent)


def test_whatever_it_started_ends_with_it(world):
    agent = world.started("child leaver stranger")
    main = world.process(agent)
    family = until(lambda: len(found := processes.family([main])) == 4 and found)
    world.until(agent, READY)
    until(lambda: (world.keeper(agent).step(), world.record(agent)["children"] == 3)[1])
    world.stop(agent)
    world.until(agent, STOPPED)
    assert [one for one in family if processes.alive(one)] == []


def test_what_outlived_a_process_that_died_is_cleared_away(world):
    agent = world.started("child leaver")
    family = until(lambda: len(found := processes.family([world.process(agent)])) == 3 and found)
    processes.send([world.process(agent)], signal.SIGKILL)
    world.until(agent, BACKOFF)
    assert [one for one in family if processes.alive(one)] == []


def test_no_zombie_stays(world):
    agent = world.started("once:dies=0.2")
    pid = world.process(agent).pid
    world.until(agent, BACKOFF)
    assert not os.path.exists(f"/proc/{pid}")


def test_one_that_stops_answering_is_unhealthy_until_it_is_started_anew(world, monkeypatch):
    monkeypatch.setattr(ready, "PATIENCE_S", 0.1)
    agent = world.started("once:hangs=0.2")
    first = world.process(agent)
    world.until(agent, UNHEALTHY)
    assert "within 0.1 s" in world.record(agent)["last_error"]
    world.until(agent, BACKOFF)
    world.until(agent, READY)
    assert world.process(agent) != first


def test_its_memory_and_children_are_noted_for_a_sparkline(world):
    agent = world.started("child")
    until(lambda: (world.keeper(agent).step(), len(world.record(agent)["health"]) >= 3)[1])
    record = world.record(agent)
    assert record["children"] == 1
    assert 5 < record["memory_mb"] < 200
    assert {look["ready"] for look in record["health"]} == {True}
    assert record["checked_at"] >= record["health"][-1]["at"]


def test_one_that_grew_is_restarted_when_it_is_idle(world_of):
    world = world_of(runtime_memory_mb=100)
    agent = world.started("once:leaks=110")
    world.db.jobs.insert_one(
        {
            "_id": "j",
            "agent_id": agent["_id"],
            "status": "running",
            "kind": "runtime",
            "workspace_id": "w",
            "idempotency": {"route": "", "key": "j"},
        }
    )
    until(lambda: (world.keeper(agent).step(), len(world.record(agent)["health"]) >= 4)[1])
    assert moves(world, agent) == [STARTING, READY]
    world.db.jobs.update_one({"_id": "j"}, {"$set": {"status": "succeeded"}})
    world.until(agent, STOPPING)
    world.until(agent, READY)
    record = world.record(agent)
    assert record["restarts"] == 1
    assert any("100 are allowed" in (event["why"] or "") for event in record["events"])


def test_one_that_grew_far_too_large_is_restarted_in_the_midst_of_its_work(world_of):
    world = world_of(runtime_memory_mb=60)
    agent = world.started("once:leaks=110")
    world.db.jobs.insert_one(
        {
            "_id": "j",
            "agent_id": agent["_id"],
            "status": "running",
            "kind": "runtime",
            "workspace_id": "w",
            "idempotency": {"route": "", "key": "j"},
        }
    )
    world.until(agent, STOPPING)


def test_a_log_that_is_filled_is_kept_small(world, monkeypatch):
    monkeypatch.setattr("core.runtime.keeper.LOG_BYTES", 1_000_000)
    agent = world.started("floods=5")
    world.keeper(agent).step()
    console = world.folder(agent).console
    assert console.stat().st_size < 1_000_000
    assert 1_000_000 <= console.with_name("console.log.1").stat().st_size <= 2_000_000


def test_without_a_program_it_says_what_to_do(world_of, tmp_path):
    world = world_of(openclaw_path=None)
    agent = world.started(status=FAILED)
    assert "run `make openclaw`, or set OPENCLAW_PATH" in world.record(agent)["last_error"]
    plain = tmp_path / "plain"
    plain.touch()
    world = world_of(openclaw_path=plain)
    agent = world.started(status=FAILED)
    assert "it is no executable file" in world.record(agent)["last_error"]


def test_a_failed_one_starts_anew_when_it_is_ordered_to(world):
    agent = world.started("exit=78", status=FAILED)
    world.db.agents.update_one({"_id": agent["_id"]}, {"$set": {"system_prompt": "Be brief."}})
    world.start(agent)
    record = world.until(agent, READY)
    assert (record["failures"], record["last_error"]) == (0, None)


def test_starting_it_twice_gives_one_process(world):
    agent = world.agent()
    world.start(agent)
    world.start(agent)
    world.until(agent, READY)
    first = world.process(agent)
    world.start(agent)
    world.keeper(agent).step()
    assert world.alive(agent) == {first}
    assert moves(world, agent) == [STARTING, READY]


@pytest.mark.parametrize("status", [STARTING, BACKOFF])
def test_it_is_stopped_while_it_is_being_started(world, status):
    agent = world.started({STARTING: "never-ready", BACKOFF: "exit=1"}[status], status=status)
    world.keeper(agent).step()
    world.stop(agent)
    world.until(agent, STOPPED)
    nothing_left(world, agent)


def test_purged_its_directory_goes_too(world):
    agent = world.started()
    world.stop(agent, purge=True)
    world.until(agent, STOPPED)
    until(lambda: (world.keeper(agent).step(), not world.record(agent)["purge"])[1])
    assert not world.folder(agent).path.exists()


def test_a_restart_takes_the_configuration_of_now(world):
    agent = world.started("Be brief.")
    first = world.process(agent)
    world.db.agents.update_one({"_id": agent["_id"]}, {"$set": {"system_prompt": "Be long."}})
    world.restart(agent)
    world.until(agent, READY)
    assert world.process(agent) != first
    assert (world.folder(agent).workspace / "AGENTS.md").read_text() == "Be long."
    assert world.record(agent)["went_back"] is None


@pytest.mark.parametrize(("prompt", "why"), [("exit=78", "exit code 78"), ("exit=1", "exit code 1")])
def test_a_restart_that_does_not_come_up_goes_back(world_of, prompt, why):
    world = world_of(runtime_give_up_after=1)
    agent = world.started("Be brief.")
    world.db.agents.update_one({"_id": agent["_id"]}, {"$set": {"system_prompt": prompt}})
    world.restart(agent)
    record = world.until(agent, READY, FAILED)
    assert record["status"] == READY
    assert why in record["went_back"]
    assert why in record["last_error"]
    assert (world.folder(agent).workspace / "AGENTS.md").read_text() == "Be brief."
    assert record["good"]["system_prompt"] == "Be brief."


def test_what_died_is_started_with_what_it_was_started_with(world):
    """A change takes effect at a restart, not by chance."""
    agent = world.started("once:dies=0.3")
    world.db.agents.update_one({"_id": agent["_id"]}, {"$set": {"system_prompt": "exit=78"}})
    world.until(agent, BACKOFF)
    assert world.until(agent, READY, FAILED)["status"] == READY
