"""The broker with a real Dramatiq worker over a real Redis: quick to wake, and quick to pause."""

from __future__ import annotations

import threading
import time

import dramatiq
import pytest
import redis
from dramatiq.errors import ConnectionClosed

from core.ids import new_id
from core.services import connect_redis
from tests.waiting import LONG_S, until
from workers.broker import ACTOR, make_broker, sender


class Handled:
    """What a worker was given, in order; without `go` it is at work for as long as one likes."""

    def __init__(self):
        self.ids = []
        self.each = threading.Condition()
        self.go = threading.Event()
        self.go.set()

    def __call__(self, job_id):
        self.begun(job_id)
        self.go.wait()
        with self.each:
            self.ids.append(job_id)
            self.each.notify_all()

    def wait_for(self, n):
        with self.each:
            assert self.each.wait_for(lambda: len(self.ids) >= n, LONG_S), f"only {len(self.ids)} of {n}"


@pytest.fixture
def handled():
    return Handled()


SLOTS = 5


@pytest.fixture
def broker(settings, redis_client, handled):
    client = connect_redis(settings)
    broker = make_broker(client, SLOTS)
    dramatiq.actor(broker=broker, actor_name=ACTOR, queue_name="chat")(handled)
    handled.begun = broker.shares.begun
    yield broker
    client.close()


@pytest.fixture
def worker(broker, handled):
    worker = dramatiq.Worker(broker, queues={"chat"}, worker_threads=SLOTS, worker_timeout=100)
    worker.start()
    yield worker
    handled.go.set()
    worker.stop()


def send(broker, n=1, workspace_id="w1", priority="interactive"):
    """The ids of so many new jobs."""
    ids = [new_id() for _ in range(n)]
    for job_id in ids:
        whose = {"workspace_id": workspace_id, "created_by": "k1", "agent_id": None, "priority": priority}
        sender(broker)({"_id": job_id, "queue": "chat", **whose})
    return ids


def waiting(broker):
    return sum(n for n, _ in broker.lanes.waiting("chat").values())


def test_every_message_is_handled(broker, worker, handled):
    ids = send(broker, 50)
    handled.wait_for(50)
    assert sorted(handled.ids) == ids
    assert waiting(broker) == 0


def test_a_queue_that_is_never_empty_can_be_paused_and_goes_on_later(broker, worker, handled):
    send(broker)
    handled.wait_for(1)
    handled.go.clear()
    send(broker, 300)
    until(lambda: waiting(broker) < 300, "the worker has taken some")
    broker.paused = frozenset({"chat"})
    handled.go.set()
    until(lambda: len(handled.ids) > 1, "what was under way ends")
    time.sleep(1)  # enough for all 300 of them
    assert len(handled.ids) < 100
    broker.paused = frozenset()
    handled.wait_for(301)


def test_messages_of_other_queues_are_not_held_up(broker, worker, handled):
    broker.paused = frozenset({"isolation"})
    send(broker)
    handled.wait_for(1)


def test_one_workspace_alone_leaves_a_slot_for_the_next(broker, worker, handled):
    handled.go.clear()
    send(broker, 20, "greedy")
    until(lambda: broker.shares.by_workspace.get("greedy") == SLOTS - 1, "it has its share")
    send(broker, 1, "w2")
    until(lambda: broker.shares.by_workspace.get("w2") == 1, "the other one is served at once")
    assert broker.shares.by_workspace["greedy"] == SLOTS - 1
    handled.go.set()
    handled.wait_for(21)


def test_background_leaves_half_of_the_slots_and_ends_as_well(broker, worker, handled):
    handled.go.clear()
    send(broker, 20, priority="background")
    until(lambda: not broker.shares.background, "it has its half")
    (high,) = send(broker)
    until(lambda: broker.shares.holds(high), "what is interactive has begun beside it")
    assert broker.shares.free == SLOTS - SLOTS // 2 - 1
    handled.go.set()
    handled.wait_for(21)


def test_what_redis_lost_is_handled_once_it_was_sent_again(broker, worker, handled, redis_client):
    handled.go.clear()
    first = send(broker, 20)
    until(lambda: broker.shares.free == 1, "some are under way")
    redis_client.flushdb()
    handled.go.set()
    handled.wait_for(1)
    lost = [job_id for job_id in first if job_id not in handled.ids]
    for job_id in lost:
        whose = {"workspace_id": "w1", "created_by": "k1", "agent_id": None}
        sender(broker)({"_id": job_id, "queue": "chat", **whose})
    until(lambda: set(handled.ids) == set(first), "all of them are handled")


def test_what_is_above_its_bound_waits_until_another_of_its_scope_is_over(broker, worker, handled, db):
    db["keys"].insert_one({"_id": "k1", "workspace_id": "w1", "max_running": 2, "created_at": 1})
    broker.read_bounds(db)
    handled.go.clear()
    send(broker, 5)
    send(broker, 1, "w2")
    until(lambda: broker.lanes.parked("chat") == {"w1": 3}, "all that are above it are put aside")
    until(lambda: dict(broker.shares.by_workspace) == {"w1": 2, "w2": 1}, "the other's has begun")
    handled.go.set()
    handled.wait_for(6)
    assert broker.lanes.parked("chat") == {}


def test_a_bound_that_is_lifted_lets_go_of_what_waited_for_it(broker, worker, handled, db):
    db["keys"].insert_one({"_id": "k1", "workspace_id": "w1", "max_running": 1, "created_at": 1})
    broker.read_bounds(db)
    handled.go.clear()
    send(broker, 3)
    until(lambda: broker.lanes.parked("chat") == {"w1": 2}, "two are put aside")
    db["keys"].update_one({"_id": "k1"}, {"$set": {"max_running": None}})
    broker.read_bounds(db)
    until(lambda: broker.shares.by_workspace["w1"] == 3, "all of them are under way")


def test_what_was_taken_before_redis_went_away_is_given_out_all_the_same(broker, db, monkeypatch):
    """A consumer whose connection is lost is replaced: what it has would hold its slots for ever."""
    db["keys"].insert_one({"_id": "k1", "workspace_id": "w1", "max_running": 2, "created_at": 1})
    broker.read_bounds(db)
    sent = send(broker, 3)

    def away(*_, **__):
        raise redis.ConnectionError

    consumer = broker.consume("chat")
    with monkeypatch.context() as patched:
        patched.setattr(broker.lanes, "park", away)
        given = [next(consumer), next(consumer)]
        patched.setattr(broker.lanes, "take", away)
        with pytest.raises(ConnectionClosed):
            next(consumer)
    assert [message.args[0] for message in given] == sent[:2]
    assert broker.shares.by_workspace == {"w1": 2}


def test_a_queue_that_is_paused_keeps_nothing_that_was_taken_from_it(broker):
    sent = send(broker, 3)
    consumer = broker.consume("chat")
    first = next(consumer)
    broker.paused = frozenset({"chat"})
    given = [first, next(consumer), next(consumer)]
    assert [message.args[0] for message in given] == sent
    assert next(consumer) is None


def test_no_more_are_taken_than_may_begin(broker):
    sent = send(broker, SLOTS + 2)
    broker.shares.beginning = 2
    consumer = broker.consume("chat")
    assert next(consumer).args[0] == sent[0]
    assert broker.shares.by_workspace == {"w1": 2}
    assert waiting(broker) == SLOTS


def test_one_whose_bound_has_room_again_as_it_is_put_aside_is_not_forgotten(broker, monkeypatch):
    (job_id,) = send(broker)
    looks = iter(["w1", None, None])
    monkeypatch.setattr(broker.bounds, "full", lambda *_: next(looks))
    consumer = broker.consume("chat")
    assert next(consumer) is None
    assert broker.lanes.parked("chat") == {}
    assert next(consumer).args[0] == job_id
