"""Signals over Redis: they only wake. A listener that hears none reads the document a few seconds later."""

from __future__ import annotations

import redis
import structlog

CHANGED = "vutler:jobs"
"""The channel for all jobs. The message is a job's id; a mark in front of it says that it has not ended."""

EVENTS, BEGUN = "+", ">"
"""The marks: `+`, there are more events, and the document is unchanged; `>`, a worker has begun."""

QUEUES_CHANGED = "vutler:queues"
"""A queue was paused or resumed; the message is its name."""

log = structlog.get_logger(__name__)


def process_channel(process_id: str) -> str:
    """Where a worker process hears of cancellations; the message is the job's id."""
    return f"vutler:process:{process_id}"


def delta(job_id: str) -> str:
    """The message of `CHANGED` for: there are more events, and the document is unchanged."""
    return f"{EVENTS}{job_id}"


def begun(job_id: str) -> str:
    """The message of `CHANGED` for: a worker has begun. Whoever waits for the end may ignore it."""
    return f"{BEGUN}{job_id}"


def parsed(message: str) -> tuple[str, str]:
    """(mark, job's id) of a message of `CHANGED`."""
    marked = message[:1] in (EVENTS, BEGUN)
    return (message[:1], message[1:]) if marked else ("", message)


def publish(client: redis.Redis, channel: str, message: str) -> None:
    """Wake the listeners. A lost signal costs them seconds, so it is only noted when Redis is away."""
    try:
        client.publish(channel, message)
    except redis.RedisError as error:
        log.warning("signal.not_sent", channel=channel, error=type(error).__name__)
