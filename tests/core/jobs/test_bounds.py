"""Bounds: how many jobs of a workspace, a key, an agent may run at the same time."""

from datetime import timedelta

import pytest

from core.accounts import keys, workspaces
from core.clock import utcnow
from core.jobs.bounds import Bounds
from core.jobs.claim import claim
from core.jobs.lanes import Lanes, ticket
from core.store import aside
from tests.factory import queued


@pytest.fixture
def bounds():
    return Bounds()


def bound(db, kind, most, found="a1"):
    """Let so many jobs run of `w1`, of the key `k1` or of the agent `a1`; returns the scope's name."""
    places = {"workspace": ("workspaces", "w1"), "key": ("keys", "k1"), "agent": ("agents", "a1")}
    collection, found = places[kind]
    changes = {"max_running": most, "workspace_id": "w1", "created_at": 1}
    db[collection].update_one({"_id": found}, {"$set": changes}, upsert=True)
    return f"w1/{kind}:{found}"


def running(db, owner="p1", **changes):
    return claim(db, queued(db, **changes)["_id"], owner)


@pytest.mark.parametrize("kind", ["workspace", "key", "agent"])
def test_one_more_than_may_run_is_told_of_its_scope(db, bounds, kind):
    name = bound(db, kind, 2)
    bounds.read(db)
    waiting = ticket(queued(db))
    assert bounds.full(waiting, {name: 1}.get) is None
    assert bounds.full(waiting, {name: 2}.get) == name
    other = ticket(queued(db, workspace_id="w2", created_by="k2", agent_id="a2"))
    assert bounds.of(other) == []


def test_whoever_has_no_bound_is_asked_nothing(db, bounds):
    bounds.read(db)
    assert bounds.full(ticket(queued(db)), lambda _: 10**6) is None
    assert bounds.exceeded(db, running(db)) is None


def test_what_an_agents_process_waits_for_is_not_held_by_its_own_message(db, bounds):
    bound(db, "agent", 1)
    bounds.read(db)
    message = queued(db, kind="agent_message", host="h1", request={"message": "hi"}, plan={})
    assert bounds.of(ticket(message)) == []
    claim(db, message["_id"], "p9")
    assert bounds.exceeded(db, running(db)) is None


def test_of_what_several_processes_began_together_the_last_is_above(db, bounds):
    name = bound(db, "key", 2)
    bounds.read(db)
    first, second = running(db, "p1"), running(db, "p2")
    assert [bounds.exceeded(db, job) for job in (first, second)] == [None, None]
    third = running(db, "p1")
    assert bounds.exceeded(db, third) == name
    # What runs elsewhere is remembered for a moment, so that the next one is not even begun.
    assert bounds.full(ticket(queued(db)), {name: 1}.get) == name
    assert bounds.full(ticket(queued(db)), {name: 0}.get) is None


def test_what_runs_elsewhere_is_soon_asked_anew(db):
    now = [0.0]
    bounds = Bounds(monotonic=lambda: now[0])
    name = bound(db, "key", 1)
    bounds.read(db)
    running(db, "p2")
    bounds.exceeded(db, running(db, "p1"))
    assert bounds.full(ticket(queued(db)), {name: 0}.get) == name
    now[0] += 1
    assert bounds.full(ticket(queued(db)), {name: 0}.get) is None


def test_a_bound_that_is_raised_or_lifted_is_named(db, bounds):
    key, agent = bound(db, "key", 2), bound(db, "agent", 2)
    assert bounds.read(db) == []
    bound(db, "key", 3)
    bound(db, "agent", 1)
    assert bounds.read(db) == [key]
    bound(db, "agent", None)
    assert bounds.read(db) == [agent]


def test_a_rotated_keys_jobs_count_for_the_key_that_it_replaced_by_the_newest_bound(db, bounds):
    workspaces.make(db, "One", "w1")
    made = {"role": "member", "workspace_id": "w1", "created_by": "k0"}
    first, _ = keys.make(db, limits={"max_running": 5}, **made)
    db["keys"].update_one({"_id": first["_id"]}, {"$set": {"created_at": utcnow() - timedelta(days=1)}})
    keys.make(db, limits={"max_running": 1}, counts_as=first["_id"], **made)
    bounds.read(db)
    waiting = ticket(queued(db, created_by=first["_id"]))
    assert bounds.of(waiting) == [(f"w1/key:{first['_id']}", 1)]


def test_what_is_parked_waits_aside_and_comes_back_as_it_was(db, redis_client):
    lanes = Lanes(redis_client)
    waiting = [ticket(queued(db, background=n == 1)) for n in range(3)]
    for one in waiting:
        lanes.park(one, "w1/key:k1")
    assert (lanes.parked("chat"), lanes.waiting("chat")["w1"][0]) == ({"w1": 3}, 3)
    assert lanes.take("chat", {}, 1, background=1) == "nothing"
    assert lanes.unpark("chat", "w1/key:k1", 2) == 2
    assert lanes.parked("chat") == {"w1": 1}
    taken = {lanes.take("chat", {}, 1, background=1)[0] for _ in range(2)}
    assert taken < set(waiting)
    assert lanes.unpark("chat", "w1/key:k1", 9) == 1
    assert lanes.unpark("chat", "w1/key:k1") == 0
    assert lanes.parked("chat") == {}
    assert not redis_client.exists("vutler:lanes:chat:parked")


def test_one_document_that_is_not_understood_keeps_no_other_bound_from_being_read(db, bounds):
    db["agents"].insert_one({"_id": "a0", "max_running": 1})  # of no workspace
    name = bound(db, "agent", 2)
    bounds.read(db)
    assert bounds.full(ticket(queued(db)), {name: 2}.get) == name
    assert [one["document"] for one in aside.listed(db)["bounds"]] == ["a0"]
