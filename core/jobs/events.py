"""Events of a running job: a Redis stream per job, bounded, with ids `<attempt>-<n>`.

The ids are set here. Redis refuses an id that does not grow, so an earlier claim cannot write late.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import redis
import structlog

from core.jobs import signals

Document = dict[str, Any]

KEPT = 10_000
KEPT_S = 3600
RENEWED_S = KEPT_S / 4
AWAY_S = 5.0
"""Nothing is published for so long after a failure: a Redis that hangs must not slow down each word."""
LONGEST = 18
"""Digits of a number in a position: Redis counts in 64 bits, and Python refuses to read thousands of them."""
BATCH = 64
"""How many are read at a time. The rest waits in Redis, not in the web process of a slow watcher."""

log = structlog.get_logger(__name__)


def stream_key(job_id: str) -> str:
    return f"vutler:events:{job_id}"


class Emitter:
    """Publishes the events of one claim. A Redis that is away loses events, never the job."""

    def __init__(self, client: redis.Redis, job_id: str, attempt: int) -> None:
        self.client = client
        self.job_id = job_id
        self.attempt = attempt
        self.n = 0
        self._renewed_at = self._failed_at = float("-inf")

    def emit(self, kind: str, data: Document) -> None:
        """Append an event and wake the watchers, in one round trip. A gap in `n` shows what was lost."""
        self.n += 1
        if time.monotonic() - self._failed_at < AWAY_S:
            return
        key, now = stream_key(self.job_id), time.monotonic()
        fields: Any = {"kind": kind, "data": json.dumps(data)}
        try:
            with self.client.pipeline(transaction=False) as pipe:
                pipe.xadd(key, fields, id=f"{self.attempt}-{self.n}", maxlen=KEPT, approximate=True)
                if now - self._renewed_at >= RENEWED_S:
                    pipe.expire(key, KEPT_S)
                pipe.publish(signals.CHANGED, signals.delta(self.job_id))
                pipe.execute()
        except redis.RedisError as error:
            log.warning("events.lost", job_id=self.job_id, error=type(error).__name__)
            self._failed_at = time.monotonic()
            return
        if now - self._renewed_at >= RENEWED_S:
            self._renewed_at = now


def read(
    client: redis.Redis, job_id: str, after: tuple[int, int]
) -> Iterator[tuple[tuple[int, int], str, Document]]:
    """The events after a position: (position, kind, data). Raises `redis.RedisError`."""
    start = f"({after[0]}-{after[1]}"
    rows: Any = client.xrange(stream_key(job_id), min=start, count=BATCH)
    for raw_id, fields in rows:
        attempt, n = raw_id.decode().split("-")
        yield (int(attempt), int(n)), fields[b"kind"].decode(), json.loads(fields[b"data"])


def all_of(client: redis.Redis, job_id: str, *, most: int) -> Iterator[tuple[tuple[int, int], str, Document]]:
    """The first events of a job, at most so many, as `read` has them. Raises `redis.RedisError`."""
    after: tuple[int, int] = (0, 0)
    while most > 0 and (batch := list(islice(read(client, job_id, after), most))):
        yield from batch
        after, most = batch[-1][0], most - len(batch)


def forget(client: redis.Redis, job_id: str) -> None:
    """Erase a job's events. If Redis is away this is only noted: the events expire within the hour."""
    try:
        client.delete(stream_key(job_id))
    except redis.RedisError as error:
        log.warning("events.not_forgotten", job_id=job_id, error=type(error).__name__)


def parse_position(text: str | None) -> tuple[int, int]:
    """`2-17` as a position; text that is none of ours is the beginning."""
    attempt, _, n = (text or "").partition("-")
    ours = all(part.isdecimal() and len(part) <= LONGEST for part in (attempt, n))
    return (int(attempt), int(n)) if ours else (0, 0)
