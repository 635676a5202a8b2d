"""Signals over Redis: they only wake. A listener that hears none reads the document a few seconds later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import redis
import structlog

from core.jobs.document import Job
from core.jobs.views import UNASKED
from core.store import free_json
from core.store.batches import Batches, One

UNSEEN = frozenset(UNASKED)

CHANGED = "vutler:jobs"
"""The channel for all jobs. The message is a job's id, after a mark that says what has changed."""

EVENTS, BEGUN, ENDED = "+", ">", "="
"""The marks: `+`, there are more events, and the document is unchanged; `>`, a worker has begun; `=`, it has
ended, and the document follows. Without a mark the document is to be read."""

MOST_BYTES = 64 * 1024
"""A larger document does not travel with its signal: every web process hears every signal."""

CONFIGURED = "vutler:configured"
"""Somebody wrote what requests read: keys, agents. Whoever remembers some of it forgets it."""

QUEUES_CHANGED = "vutler:queues"
"""A queue was paused or resumed; the message is its name."""

log = structlog.get_logger(__name__)


def process_channel(process_id: str) -> str:
    """Where a worker process hears of cancellations; the message is the job's id."""
    return f"vutler:process:{process_id}"


def seat_channel(process_id: str) -> str:
    """Where a worker process hears of jobs born in its seats; the message is the document."""
    return f"vutler:process:{process_id}:seats"


def delta(job_id: str) -> str:
    """The message of `CHANGED` for: there are more events, and the document is unchanged."""
    return f"{EVENTS}{job_id}"


def begun(job_id: str) -> str:
    """The message of `CHANGED` for: a worker has begun. Whoever waits for the end may ignore it."""
    return f"{BEGUN}{job_id}"


def ended(job: Job) -> bytes:
    """The message of `CHANGED` for: it has ended, and this is its document, without what no view shows."""
    told = free_json.packed({name: value for name, value in job.items() if name not in UNSEEN})
    return f"{ENDED}{job['_id']} ".encode() + told if len(told) <= MOST_BYTES else job["_id"].encode()


class Signal(NamedTuple):
    """A message of `CHANGED`. `told`: the document as bytes, for `opened`; empty when it did not travel."""

    mark: str
    job_id: str
    told: bytes


def parsed(message: bytes) -> Signal:
    """What a message of `CHANGED` says."""
    mark = message[:1].decode("latin-1")
    if mark not in (EVENTS, BEGUN, ENDED):
        return Signal("", message.decode(), b"")
    job_id, _, told = message[1:].partition(b" ")
    return Signal(mark, job_id.decode(), told)


def opened(told: bytes) -> Job:
    """The document that travelled with a signal."""
    return cast("Job", free_json.unpacked(told))


class Publisher(Batches):
    """Publishes for a process that carries out many jobs: what is said at the same time goes together."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__()
        self.client = client

    def publish(self, channel: str, message: str | bytes) -> None:
        """As the function of this name. When it returns it was said, or noted that it could not be."""
        self.ask((channel, message))

    def carry(self, batch: Sequence[One]) -> None:
        if len(batch) == 1:
            publish(self.client, *batch[0].asked)
            return
        said = self.client.pipeline(transaction=False)
        for one in batch:
            said.publish(*one.asked)
        try:
            said.execute()
        except redis.RedisError as error:
            log.warning("signal.not_sent", signals=len(batch), error=type(error).__name__)


def publish(client: redis.Redis, channel: str, message: str | bytes) -> None:
    """Wake the listeners. A lost signal costs them seconds, so it is only noted when Redis is away."""
    try:
        client.publish(channel, message)
    except redis.RedisError as error:
        log.warning("signal.not_sent", channel=channel, error=type(error).__name__)
