"""Work beside a request: in a greenlet of its own, while the request goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import gevent
from gevent.event import AsyncResult

T = TypeVar("T")


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
