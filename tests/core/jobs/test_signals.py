"""Signals that are said at the same time go together, each to its channel, and an outage stops nobody."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import redis

from core.jobs import signals
from tests.waiting import LONG_S, subscribed, until


class Slow:
    """A client whose first command waits until it is let go. It tells which commands there were."""

    def __init__(self, client):
        self.client = client
        self.begun, self.go = threading.Event(), threading.Event()
        self.commands = []

    def publish(self, channel, message):
        self.commands.append("publish")
        self.begun.set()
        assert self.go.wait(LONG_S)
        return self.client.publish(channel, message)

    def pipeline(self, **options):
        self.commands.append("pipeline")
        return self.client.pipeline(**options)


def said_together(slow, messages):
    """Publish the first, and the others while it is on its way."""
    publisher = signals.Publisher(slow)
    with ThreadPoolExecutor(len(messages)) as pool:
        all_said = [pool.submit(partial(publisher.publish, *messages[0]))]
        assert slow.begun.wait(LONG_S)
        all_said += [pool.submit(partial(publisher.publish, *one)) for one in messages[1:]]
        until(lambda: len(publisher._waiting) == len(messages) - 1, "all wait behind the first")
        slow.go.set()
        for one in all_said:
            one.result(LONG_S)


def test_each_is_heard_on_its_channel_in_two_commands(redis_client):
    slow = Slow(redis_client)
    with redis_client.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe("a", "b")
        subscribed(redis_client, "a")
        subscribed(redis_client, "b")
        said_together(slow, [("a", "1"), ("b", "2"), ("a", b"3")])
        heard = set()
        while len(heard) < 3:
            if (message := pubsub.get_message(timeout=LONG_S)) is not None:
                heard.add((message["channel"], message["data"]))
    assert heard == {(b"a", b"1"), (b"b", b"2"), (b"a", b"3")}
    assert slow.commands == ["publish", "pipeline"]


def test_where_redis_is_away_nobody_hears_and_nobody_fails(caplog):
    away = redis.Redis(port=1)
    slow = Slow(away)
    said_together(slow, [("a", "1"), ("a", "2"), ("a", "3")])
    assert slow.commands == ["publish", "pipeline"]
    away.close()


def test_a_large_document_does_not_travel_with_its_end():
    for large in (False, True):
        job = {"_id": "j1", "result": "x" * (signals.MOST_BYTES if large else 1)}
        signal = signals.parsed(signals.ended(job))
        assert (signal.job_id, bool(signal.told)) == ("j1", not large)
