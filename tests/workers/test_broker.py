"""The broker with a real Dramatiq worker over a real Redis: quick to wake, and quick to pause."""

from __future__ import annotations

import threading
import time

import dramatiq
import pytest

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


@pytest.fixture
def broker(settings, redis_client, handled):
    client = connect_redis(settings)
    broker = make_broker(client)
    dramatiq.actor(broker=broker, actor_name=ACTOR, queue_name="chat")(handled)
    yield broker
    client.close()


@pytest.fixture
def worker(broker):
    worker = dramatiq.Worker(broker, queues={"chat"}, worker_threads=1)
    worker.queue_prefetch = 1
    worker.start()
    yield worker
    worker.stop()


def test_every_message_is_handled(broker, worker, handled):
    send = sender(broker)
    for n in range(50):
        send("chat", str(n))
    handled.wait_for(50)
    assert sorted(handled.ids, key=int) == [str(n) for n in range(50)]
    assert broker.queue_length("chat") == 0


def test_a_queue_that_is_never_empty_can_be_paused_and_goes_on_later(broker, worker, handled):
    send = sender(broker)
    send("chat", "first")
    handled.wait_for(1)
    handled.go.clear()
    for n in range(300):
        send("chat", str(n))
    until(lambda: broker.queue_length("chat") < 300, "the worker has taken some")
    broker.paused = frozenset({"chat"})
    handled.go.set()
    until(lambda: len(handled.ids) > 1, "what was under way ends")
    time.sleep(1)  # enough for all 300 of them
    assert len(handled.ids) < 100
    broker.paused = frozenset()
    handled.wait_for(301)


def test_messages_of_other_queues_are_not_held_up(broker, worker, handled):
    broker.paused = frozenset({"isolation"})
    sender(broker)("chat", "1")
    handled.wait_for(1)
