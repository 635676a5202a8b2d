"""Signals over Redis: they only wake. Whoever hears none looks at the document a few seconds later."""

from __future__ import annotations

import redis
import structlog

CHANGED = "vutler:jobs"
"""One channel for all jobs; the message is the job's id, with a mark in front when it has not ended."""

EVENTS, BEGUN = "+", ">"
"""The marks: there are more events, the document is as it was; a worker has begun."""

QUEUES_CHANGED = "vutler:queues"
"""A queue was paused or resumed; the message is its name."""

log = structlog.get_logger(__name__)


def process_channel(process_id: str) -> str:
    """Where a worker process hears of cancellations; the message is the job's id."""
    return f"vutler:process:{process_id}"


def delta(job_id: str) -> str:
    """The message of `CHANGED` that says: more events, the document is as it was."""
    return f"{EVENTS}{job_id}"


def begun(job_id: str) -> str:
    """The message of `CHANGED` that says: it runs, which is nothing to whoever waits for its end."""
    return f"{BEGUN}{job_id}"


def parsed(message: str) -> tuple[str, str]:
    """(mark, job's id) of a message of `CHANGED`."""
    marked = message[:1] in (EVENTS, BEGUN)
    return (message[:1], message[1:]) if marked else ("", message)


def publish(client: redis.Redis, channel: str, message: str) -> None:
    """Wake the listeners; a lost wake-up costs them seconds, so a Redis that is away is only noted."""
    try:
        client.publish(channel, message)
    except redis.RedisError as error:
        log.warning("signal.not_sent", channel=channel, error=type(error).__name__)
