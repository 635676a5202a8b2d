"""GET /queues, /workers, and pausing a queue."""

from __future__ import annotations

import pytest

from core.jobs import lease
from core.jobs.claim import claim
from tests.factory import queued


@pytest.fixture
def worker(services):
    """A process that says it lives."""
    return lease.register(services.db, role="chat", host="h1", queues=["chat"], slots=512, version="0.1.0")


def of(client, name):
    (found,) = [queue for queue in client.get("/queues").json["items"] if queue["name"] == name]
    return found


def test_each_queue_says_how_deep_it_is(member, services, worker, agent):
    empty = of(member, "chat")
    assert (empty["depth"], empty["oldest_age_s"], empty["running"], empty["paused"]) == (0, None, 0, False)
    jobs = [queued(services.db, workspace_id="default", agent_id=agent) for _ in range(3)]
    claim(services.db, jobs[0]["_id"], worker)
    lease.renew(services.db, worker, finished_last_minute=7)
    full = of(member, "chat")
    assert (full["depth"], full["running"], full["workers"], full["finished_last_minute"]) == (2, 1, 1, 7)
    assert 0 <= full["oldest_age_s"] < 60
    assert of(member, "isolation")["depth"] == 0
    assert member.get("/queues").json["next_cursor"] is None


@pytest.mark.parametrize("role", ["admin", "member", "viewer"])
def test_whose_jobs_wait_is_told_to_admins_alone(client_for, services, role):
    queued(services.db, workspace_id="w2")
    rows = client_for(role).get("/queues").json["items"]
    told = [(one["workspace_id"], one["depth"]) for row in rows for one in row.get("waiting", [])]
    assert told == ([("w2", 1)] if role == "admin" else [])


def test_pausing_and_resuming_is_an_admins_and_safe_to_repeat(admin, member):
    for _ in range(2):
        assert admin.post("/queues/chat/pause").status_code == 200
        assert of(member, "chat")["paused"]
    assert not of(member, "isolation")["paused"]
    for _ in range(2):
        assert admin.post("/queues/chat/resume").status_code == 200
        assert not of(member, "chat")["paused"]
    assert member.post("/queues/chat/pause").status_code == 403
    assert admin.post("/queues/none/pause").status_code == 404


def test_a_paused_queue_still_takes_jobs(admin, member, agent):
    admin.post("/queues/chat/pause")
    assert member.post(f"/agents/{agent}/chat", {"message": "a"}).status_code == 202
    assert of(member, "chat")["depth"] == 1


def test_workers_say_where_they_are_and_what_they_do(admin, services, worker, agent):
    job = claim(services.db, queued(services.db, workspace_id="default", agent_id=agent)["_id"], worker)
    lease.renew(services.db, worker, last_jobs=["j2", "j1"], memory_bytes=2**27)
    gone = lease.register(services.db, role="chat", host="h1", queues=["chat"], slots=512, version="0.1.0")
    lease.retire(services.db, gone)
    living, dead = admin.get("/workers").json["items"]
    assert (living["id"], living["alive"], living["jobs"]) == (worker, True, [job["_id"]])
    assert (living["last_jobs"], living["memory_bytes"]) == (["j2", "j1"], 2**27)
    assert living["host"]
    assert living["pid"]
    assert (living["version"], living["slots"]) == ("0.1.0", 512)
    assert (dead["id"], dead["alive"]) == (gone, False)
    assert dead["stopped_at"] is not None
