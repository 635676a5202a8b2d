"""Work beside a request: in a greenlet of its own, while the request goes on; in a thread that gives way."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TypeVar, cast

import gevent
from gevent.event import AsyncResult

T = TypeVar("T")

NICE = 5
"""As that of the drive's worker: large files are hashed and written behind the chats that are answered."""


def in_a_greenlet(work: Callable[[], T]) -> Callable[[], T]:
    """A `core.services.Beside`. What fails is told to whoever waits, and nowhere else."""
    ended: AsyncResult[T] = AsyncResult()

    def carry_out() -> None:
        try:
            ended.set(work())
        except Exception as failure:  # noqa: BLE001 - it is raised again, to whoever waits
            ended.set_exception(failure)

    gevent.spawn(carry_out)
    return lambda: cast(T, ended.get())


def giving_way(work: Callable[[], T]) -> T:
    """Carry it out in this thread, to which the event loop's is preferred. Elsewhere than on Linux a priority
    is the whole process's."""
    if sys.platform == "linux" and os.getpriority(os.PRIO_PROCESS, 0) < NICE:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    return work()
