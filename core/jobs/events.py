"""Events of a running job: a Redis stream per job, bounded, with ids `<claim>-<n>`.

The ids are set here, so that Redis itself refuses what a dead claim writes late: they only grow.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import redis
import structlog

from core.jobs import signals

Document = dict[str, Any]

KEPT = 10_000
KEPT_S = 3600
BATCH = 500

log = structlog.get_logger(__name__)


def stream_key(job_id: str) -> str:
    return f"vutler:events:{job_id}"


class Emitter:
    """Publishes the events of one claim. A Redis that is away loses events, never the job."""

    def __init__(self, client: redis.Redis, job_id: str, claim: int) -> None:
        self.client = client
        self.job_id = job_id
        self.claim = claim
        self.n = 0
        self.lost = 0

    def emit(self, kind: str, data: Document) -> None:
        """Append an event and wake the watchers, in one round trip. A gap in `n` shows what was lost."""
        self.n += 1
        key = stream_key(self.job_id)
        fields: Any = {"kind": kind, "data": json.dumps(data)}
        try:
            with self.client.pipeline(transaction=False) as pipe:
                pipe.xadd(key, fields, id=f"{self.claim}-{self.n}", maxlen=KEPT, approximate=True)
                if self.n == 1:
                    pipe.expire(key, KEPT_S)
                pipe.publish(signals.CHANGED, signals.delta(self.job_id))
                pipe.execute()
        except redis.RedisError as error:
            self.lost += 1
            if self.lost == 1:
                log.warning("events.lost", job_id=self.job_id, error=type(error).__name__)


def read(
    client: redis.Redis, job_id: str, after: tuple[int, int]
) -> Iterator[tuple[tuple[int, int], str, Document]]:
    """The events after a position: (position, kind, data). Raises `redis.RedisError`."""
    start = f"({after[0]}-{after[1]}"
    rows: Any = client.xrange(stream_key(job_id), min=start, count=BATCH)
    for raw_id, fields in rows:
        claim, n = raw_id.decode().split("-")
        yield (int(claim), int(n)), fields[b"kind"].decode(), json.loads(fields[b"data"])


def parse_position(text: str | None) -> tuple[int, int]:
    """`2-17` as a position; whatever is not one of ours starts from the beginning."""
    claim, _, n = (text or "").partition("-")
    return (int(claim), int(n)) if claim.isdecimal() and n.isdecimal() else (0, 0)
