"""What each program measures: how long after it was sent a task begins. Knows no task queue."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable

import redis

BEGUN = "bench:begun"
client = redis.Redis.from_url(os.environ["REDIS_URL"])


def begun(sent: float) -> None:
    """The task: it tells how many milliseconds it is since it was sent. (One clock for all processes.)"""
    client.rpush(BEGUN, (time.monotonic() - sent) * 1000)


def measure(send: Callable[[float], object], n: int, warm: int = 5) -> None:
    """Send to an idle worker, over and over; prints the milliseconds until each began, and of each `send`."""
    took, sending = [], []
    for _ in range(n + warm):
        started = time.monotonic()
        send(started)
        sending.append((time.monotonic() - started) * 1000)
        told = client.blpop([BEGUN], timeout=30)
        if told is None:
            raise SystemExit("nothing began within 30 s")
        took.append(float(told[1]))
        time.sleep(0.02)
    print(json.dumps({"began": took[warm:], "sent": sending[warm:]}))


def flood(send: Callable[[float], object], n: int) -> None:
    """Send many at once; prints how long it took until all had begun, in seconds, for `n`."""
    client.delete(BEGUN)
    started = time.monotonic()
    for _ in range(n):
        send(time.monotonic())
    while client.llen(BEGUN) < n:
        if time.monotonic() - started > 120:
            raise SystemExit("not all began within 120 s")
        time.sleep(0.005)
    print(json.dumps({"n": n, "seconds": time.monotonic() - started}))


MEASURES = {"idle": measure, "flood": flood}
