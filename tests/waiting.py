"""Waiting for what will happen: at once when it has, and so long that a busy machine fails nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import redis

Found = TypeVar("Found")
Given = TypeVar("Given")

LONG_S = 300.0
FIRST_S = 0.001


def until(
    holds: Callable[[], Found],
    what: str,
    *,
    seconds: float = LONG_S,
    every: float = 0.05,
    said: Callable[[], str] = lambda: "",
) -> Found:
    """What `holds()` gives, once that is true; fails with `said()` when it is not within `seconds`.

    Looks often at first, and in the end `every` so many seconds.
    """
    deadline, pause = time.monotonic() + seconds, FIRST_S
    while not (found := holds()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}\n{said()}")
        time.sleep(pause)
        pause = min(every, 1.5 * pause)
    return found


def subscribed(client: redis.Redis, channel: str) -> None:
    """Until somebody listens on this channel."""
    until(lambda: dict(client.pubsub_numsub(channel))[channel.encode()], f"somebody listens on {channel}")


def ending(function: Callable[[], Given], *, seconds: float = LONG_S) -> Given:
    """What `function()` gives or raises, in a thread of its own; fails when it hangs."""
    outcome: list[Any] = []

    def carry_out() -> None:
        try:
            outcome.append((function(), None))
        except BaseException as error:  # noqa: BLE001 - raised again below, where it is waited for
            outcome.append((None, error))

    thread = threading.Thread(target=carry_out, daemon=True)
    thread.start()
    thread.join(seconds)
    assert outcome, f"it hangs: not ended after {seconds:g} s"
    found, error = outcome[0]
    if error is not None:
        raise error
    return found
