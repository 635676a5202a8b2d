"""Signals over Redis: they only wake. Whoever hears none looks at the document a few seconds later."""

from __future__ import annotations

import redis
import structlog

CHANGED = b"vutler:jobs"
"""One channel for all jobs; the message is the job's id."""

log = structlog.get_logger(__name__)


def process_channel(process_id: str) -> str:
    """Where a worker process hears of cancellations; the message is the job's id."""
    return f"vutler:process:{process_id}"


def publish(client: redis.Redis, channel: str | bytes, job_id: str) -> None:
    """Wake the listeners; a lost wake-up costs them seconds, so a Redis that is away is only noted."""
    try:
        client.publish(channel, job_id)
    except redis.RedisError as error:
        log.warning("signal.not_sent", job_id=job_id, error=type(error).__name__)
