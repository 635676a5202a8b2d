"""The routes of an agent's own process; what a worker does is in tests/core/runtime."""

from __future__ import annotations

import threading
from contextlib import ExitStack, closing

import pytest
import redis

from core.clock import utcnow
from core.runtime import instance_keys, log_requests, orders, placement, records
from core.runtime.folder import Folder
from core.runtime.states import READY, STARTING, STOPPED, UNHEALTHY
from core.services import connect_redis
from tests.core.runtime.conftest import here, until
from web.doors.orders import STILL_HERE, told


def host(db, name="h1", capacity=5, free_mb=5000.0):
    lease = here(db, name)
    placement.describe(db, name, capacity=capacity, free_mb=free_mb, used_mb=0, agents=0)
    return lease


def gone(db, lease):
    db.processes.update_one({"_id": lease}, {"$set": {"dead": True}})


def record(db, agent):
    return records.find(db, agent)


def set_to(db, agent, **changes):
    db.runtimes.update_one({"_id": agent}, {"$set": changes, "$inc": {"rev": 1}})


def test_a_start_is_a_job_for_the_host_and_is_written_down_as_wanted(db, member, agent, sent):
    host(db)
    made = member.post(f"/agents/{agent}/start")
    assert made.status_code == 202
    assert (made.json["kind"], made.json["status"]) == ("agent_start", "queued")
    assert sent.ids[-1] == ("runtime.h1", made.json["id"])
    kept = record(db, agent)
    assert (kept["desired"], kept["asked"], kept["host"]) == ("running", made.json["id"], "h1")
    health = member.get(f"/agents/{agent}/health").json
    assert (health["status"], health["desired"], health["ready"], health["pid"]) == (
        STOPPED,
        "running",
        False,
        None,
    )


def test_a_stop_goes_where_the_process_is(db, member, agent, sent):
    host(db, "h1"), host(db, "h2", capacity=50)
    member.post(f"/agents/{agent}/start")
    assert record(db, agent)["host"] == "h2"
    stopped = member.post(f"/agents/{agent}/stop", headers={"Prefer": "wait=0"})
    assert sent.ids[-1] == ("runtime.h2", stopped.json["id"])
    assert record(db, agent)["desired"] == "stopped"


def test_agents_go_to_the_live_host_with_the_most_room(db, member, sent):
    host(db, "h1", capacity=2), host(db, "h2", capacity=3), gone(db, host(db, "h3", capacity=100))
    made = [
        member.post("/agents", {"name": f"a{n}", "llm_config": {"provider": "sandbox"}}).json["id"]
        for n in range(6)
    ]
    answers = [member.post(f"/agents/{one}/start") for one in made]
    assert [answer.status_code for answer in answers] == [202] * 5 + [503]
    assert answers[-1].json["code"] == "no_room"
    assert sorted(record(db, one)["host"] for one in made[:5]) == ["h1", "h1", "h2", "h2", "h2"]
    assert record(db, made[5])["desired"] == "stopped"


def test_equal_room_is_told_apart_by_free_memory(db, member, agent):
    host(db, "h1", capacity=5, free_mb=2000.0), host(db, "h2", capacity=5, free_mb=9000.0)
    member.post(f"/agents/{agent}/start")
    assert record(db, agent)["host"] == "h2"


def test_without_a_capacity_memory_sets_the_limit(db):
    placement.describe(db, "h1", capacity=None, free_mb=3000.0, used_mb=1000.0, agents=1)
    assert db.runtime_hosts.find_one({"_id": "h1"})["capacity"] == 3


def test_without_a_host_the_order_waits_for_one_and_says_so(db, member, agent, sent):
    made = member.post(f"/agents/{agent}/start")
    assert made.status_code == 202
    assert sent.ids[-1] == ("runtime", made.json["id"])
    health = member.get(f"/agents/{agent}/health").json
    assert (health["status"], health["desired"]) == (STOPPED, "running")
    assert "workers.main runtime" in health["last_error"]
    host(db)
    assert orders.place(db, agent, "agent_start") == "h1"
    assert record(db, agent)["host"] == "h1"


def test_an_agent_without_a_provider_cannot_be_started(db, member):
    host(db)
    made = member.post("/agents", {"name": "blank"}).json["id"]
    answer = member.post(f"/agents/{made}/start")
    assert (answer.status_code, answer.json["code"]) == (422, "llm_config_required")


def test_the_same_idempotency_key_is_one_order(db, member, agent):
    host(db)
    again = {"Idempotency-Key": "k1"}
    first = member.post(f"/agents/{agent}/start", headers=again).json["id"]
    member.post(f"/agents/{agent}/stop")
    assert member.post(f"/agents/{agent}/start", headers=again).json["id"] == first
    assert record(db, agent)["desired"] == "stopped"


def test_a_later_order_stands_whichever_comes_first(db, member, agent):
    host(db)
    early = member.post(f"/agents/{agent}/start").json["id"]
    late = member.post(f"/agents/{agent}/stop").json["id"]
    assert record(db, agent)["asked"] == late > early


def test_it_comes_back_to_the_host_where_its_state_is(db, member, agent):
    host(db, "h1"), host(db, "h2", capacity=50)
    member.post(f"/agents/{agent}/start")
    set_to(db, agent, host="h1", status=STOPPED, desired="stopped")
    member.post(f"/agents/{agent}/start")
    assert record(db, agent)["host"] == "h1"
    assert record(db, agent)["moved_from"] is None


def test_on_a_silent_host_it_is_started_anew_on_another_and_says_where_its_state_stayed(db, member, agent):
    lease = host(db, "h1", capacity=50)
    host(db, "h2")
    member.post(f"/agents/{agent}/start")
    instance_keys.make(db, db.agents.find_one({"_id": agent}), "i1")
    set_to(db, agent, status=READY, pid=1, pid_started=1, instance="i1")
    gone(db, lease)
    member.post(f"/agents/{agent}/start")
    kept = record(db, agent)
    assert (kept["host"], kept["moved_from"], kept["status"]) == ("h2", "h1", STARTING)
    assert [event["status"] for event in kept["events"]] == [UNHEALTHY, STARTING]
    assert db["keys"].count_documents({"role": "runtime"}) == 0
    assert member.get(f"/agents/{agent}/health").json["state_stayed_on"] == "h1"


def test_a_stop_on_a_silent_host_ends_its_key_at_once(db, member, agent, sent):
    lease = host(db, "h1")
    member.post(f"/agents/{agent}/start")
    instance_keys.make(db, db.agents.find_one({"_id": agent}), "i1")
    set_to(db, agent, status=READY, pid=1, pid_started=1, instance="i1")
    gone(db, lease)
    host(db, "h2")
    made = member.post(f"/agents/{agent}/stop")
    assert sent.ids[-1] == ("runtime.h2", made.json["id"])  # which says in words that h1 is silent
    assert db["keys"].count_documents({"role": "runtime"}) == 0


def test_a_message_is_a_job_for_the_host_of_a_running_agent(db, member, agent, sent):
    host(db)
    assert member.post(f"/agents/{agent}/message", {"message": "Hi"}).json["code"] == "not_running"
    member.post(f"/agents/{agent}/start")
    set_to(db, agent, status=READY)
    asked = {"message": "Hi", "conversation_id": "c1", "metadata": {"a": 1}}
    made = member.post(f"/agents/{agent}/message", asked)
    assert sent.ids[-1] == ("runtime.h1", made.json["id"])
    job = db.jobs.find_one({"_id": made.json["id"]})
    assert job["request"] == {"message": "Hi", "conversation_id": "c1"}
    assert (job["metadata"], job["plan"]["on_worker_loss"]) == ({"a": 1}, "fail_once_streamed")


def test_a_job_of_the_runtime_is_not_run_again(db, member, agent):
    host(db)
    made = member.post(f"/agents/{agent}/start").json["id"]
    member.post(f"/jobs/{made}/cancel")
    answer = member.post(f"/jobs/{made}/retry")
    assert (answer.status_code, "cannot be run again" in answer.json["detail"]) == (409, True)


def test_a_running_agent_cannot_be_deleted(db, member, agent):
    host(db)
    member.post(f"/agents/{agent}/start")
    set_to(db, agent, status=READY)
    answer = member.delete(f"/agents/{agent}")
    assert (answer.status_code, answer.json["code"]) == (409, "running")
    set_to(db, agent, status=STOPPED, desired="stopped")
    assert member.delete(f"/agents/{agent}").status_code == 204
    assert record(db, agent)["purge"] is True


def test_what_was_never_started_leaves_nothing(db, member, agent):
    assert member.delete(f"/agents/{agent}").status_code == 204
    assert record(db, agent) is None


def test_an_agent_whose_host_never_comes_back_can_be_deleted_once_it_was_told_to_stop(db, member, agent):
    lease = host(db)
    member.post(f"/agents/{agent}/start")
    set_to(db, agent, status=UNHEALTHY, lost_at=utcnow())
    gone(db, lease)
    assert member.delete(f"/agents/{agent}").status_code == 409
    member.post(f"/agents/{agent}/stop")
    assert member.delete(f"/agents/{agent}").status_code == 204


@pytest.mark.parametrize(
    ("change", "needed"),
    [
        ({"system_prompt": "Be long."}, True),
        ({"tools": ["read"]}, True),
        ({"name": "other"}, True),
        ({"llm_config": {"provider": "openai", "model": "gpt-4o", "api_key": "sk-0123456789"}}, True),
        ({"llm_config": {"provider": "sandbox", "temperature": 0.5}}, False),
        ({"description": "About it."}, False),
        ({"runtime_budget_usd": 1.0}, False),
    ],
)
def test_a_change_of_what_it_was_started_with_wants_a_restart(db, services, member, agent, change, needed):
    from core.agents import agents
    from core.runtime import spec

    host(db)
    member.post(f"/agents/{agent}/start")
    plan = spec.of(agents.get(db, "default", agent), services.settings, lambda _: None)
    set_to(db, agent, status=READY, pid=1, pid_started=1, spec=plan)
    assert member.get(f"/agents/{agent}/health").json["restart_needed"] is False
    assert member.patch(f"/agents/{agent}", change).status_code == 200
    assert member.get(f"/agents/{agent}/health").json["restart_needed"] is needed
    (shown,) = member.get("/agents/running").json["items"]
    assert (shown["agent_id"], shown["restart_needed"]) == (agent, needed)


def test_running_are_those_that_run_or_are_going_to_again(db, member, client_for):
    host(db, capacity=50)
    for status in ("stopped", "starting", "ready", "unhealthy", "backoff", "failed", "stopping"):
        made = member.post("/agents", {"name": status, "llm_config": {"provider": "sandbox"}}).json["id"]
        member.post(f"/agents/{made}/start")
        set_to(db, made, status=status)
    shown = [item["name"] for item in member.get("/agents/running").json["items"]]
    assert shown == ["backoff", "ready", "starting", "stopping", "unhealthy"]
    assert client_for("member", workspace="other").get("/agents/running").json["items"] == []
    ready = next(item for item in member.get("/agents/running").json["items"] if item["name"] == "ready")
    bound = client_for("member", agents=[ready["agent_id"]])
    assert [item["name"] for item in bound.get("/agents/running").json["items"]] == ["ready"]


def test_the_log_is_for_members_alone(db, member, client_for, agent):
    assert client_for("viewer").get(f"/agents/{agent}/logs").status_code == 403
    assert member.get(f"/agents/{agent}/logs").json["code"] == "never_started"


def test_a_log_whose_host_does_not_answer_is_told(db, member, agent):
    host(db)
    member.post(f"/agents/{agent}/start")
    answer = member.get(f"/agents/{agent}/logs")
    assert (answer.status_code, answer.json["code"]) == (503, "host_silent")


@pytest.fixture
def log_server(db, services, settings, tmp_path):
    """The host h1 and its logs."""
    host(db)
    with closing(connect_redis(settings)) as listening:
        server = log_requests.LogServer("h1", tmp_path, services.redis, listening)
        server.start()
        until(lambda: services.redis.pubsub_numsub(log_requests.channel("h1"))[0][1], "it listens")
        yield server
        server.close()


@pytest.fixture
def log_of(log_server):
    """Starts an agent by a client, which has written a line; the path of its log."""

    def start(client):
        made = client.post("/agents", {"name": "logged", "llm_config": {"provider": "sandbox"}}).json["id"]
        assert client.post(f"/agents/{made}/start").status_code == 202
        folder = Folder(log_server.root / made)
        folder.make()
        folder.console.write_text("one\n")
        return f"/agents/{made}/logs"

    return start


def told_to_wait(answer):
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, str(log_requests.RETRY_S))
    return "the host h1 is asked for too many logs" in answer.json["detail"]


def test_a_workspace_that_follows_too_many_logs_of_a_host_is_told_to_wait_and_its_neighbour_is_not(
    member, client_for, log_of, monkeypatch
):
    monkeypatch.setattr(log_requests, "ALIVE_S", 600)  # nobody takes what comes here
    neighbour = client_for("member", workspace="other")
    mine, theirs = log_of(member), log_of(neighbour)
    with ExitStack() as held:
        for _ in range(log_requests.FOLLOWERS):
            stream = held.enter_context(closing(member.get(f"{mine}?follow=true")))
            assert stream.status_code == 200
        assert told_to_wait(member.get(f"{mine}?follow=true"))
        assert told_to_wait(member.get(mine))
        assert neighbour.get(theirs).json == {"host": "h1", "lines": ["one"]}
        stream.close()
        until(lambda: member.get(mine).status_code == 200, "a place is free again")


def test_a_workspace_for_which_a_host_reads_too_many_logs_is_told_to_wait_and_its_neighbour_is_not(
    member, client_for, log_of, log_server, monkeypatch
):
    neighbour = client_for("member", workspace="other")
    mine, theirs = log_of(member), log_of(neighbour)
    slow, tail, hanging = threading.Event(), log_requests.log_file.tail, log_server.root / mine.split("/")[2]
    monkeypatch.setattr(
        log_requests.log_file,
        "tail",
        lambda path, n: (path.is_relative_to(hanging) and slow.wait(), tail(path, n))[1],
    )
    answers = []
    readers = [
        threading.Thread(target=lambda: answers.append(member.get(mine).status_code))
        for _ in range(log_requests.SHARE)
    ]
    for reader in readers:
        reader.start()
    try:
        until(lambda: len(log_server._askers) == log_requests.SHARE, "all of them are read")
        assert told_to_wait(member.get(mine))
        assert neighbour.get(theirs).json == {"host": "h1", "lines": ["one"]}
    finally:
        slow.set()
        for reader in readers:
            reader.join()
    assert answers == [200] * log_requests.SHARE


def test_a_log_that_is_followed_ends_where_redis_went_away():
    closed = []

    def pieces():
        try:
            yield ["one"]
            raise redis.TimeoutError
        finally:
            closed.append(True)

    assert list(told([], pieces(), lambda: False)) == [STILL_HERE, b'event: line\ndata: "one"\n\n']
    assert closed
