"""Names: resolved within a time, a few at once for each workspace, so that nobody's slow names delay others.

The system's resolver cannot be told to hurry, and a thread that asks it is lost until it answers. So asking
is done beside whoever waits for it, and only so many may be asked for at the same time.
"""

from __future__ import annotations

import math
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import structlog

from core.outbound.errors import NoConnection

Resolve = Callable[..., list[Any]]
"""`socket.getaddrinfo`, or what stands in for it."""

AT_ONCE = 32
SHARE = 4
"""Of those, for one workspace."""

log = structlog.get_logger(__name__)

_whose: ContextVar[str] = ContextVar("whose", default="")


@contextmanager
def asked_for_by(workspace_id: str) -> Iterator[None]:
    """Names that are resolved inside count as this workspace's."""
    token = _whose.set(workspace_id)
    try:
        yield
    finally:
        _whose.reset(token)


def whose() -> str:
    """The workspace that is being served; empty where nobody said."""
    return _whose.get()


class Names:
    """Resolves names, `at_once` of them, and `share` of them for each workspace."""

    def __init__(
        self, resolve: Resolve | None = None, *, at_once: int = AT_ONCE, share: int | None = SHARE
    ) -> None:
        self._resolve = resolve
        self._at_once = at_once
        self._share = share or at_once
        self._asked: Counter[str] = Counter()
        self._changed = threading.Condition()

    def resolve(self, host: str, port: int, within_s: float = math.inf) -> list[Any]:
        """What `getaddrinfo` says. Raises `NoConnection` if it knows no such name or says nothing in time."""
        whose, asking = _whose.get(), _Asking(self._resolve or socket.getaddrinfo, host, port)
        timeout = None if math.isinf(within_s) else within_s
        with self._changed:
            if not self._changed.wait_for(lambda: self._free(whose), timeout):
                raise NoConnection("too many slow names are being resolved")
            self._asked[whose] += 1
        threading.Thread(target=self._ask, args=(asking, whose), daemon=True, name="name").start()
        return asking.answer(timeout)

    def _free(self, whose: str) -> bool:
        return self._asked.total() < self._at_once and self._asked[whose] < self._share

    def _ask(self, asking: _Asking, whose: str) -> None:
        try:
            asking.ask()
        finally:
            with self._changed:
                self._asked[whose] -= 1
                self._asked += Counter()  # forgets those who have none
                self._changed.notify_all()


class _Asking:
    """One name that is being resolved."""

    def __init__(self, resolve: Resolve, host: str, port: int) -> None:
        self._resolve = resolve
        self._host = host
        self._port = port
        self._over = threading.Event()
        self._found: list[Any] = []

    def ask(self) -> None:
        try:
            self._found = self._resolve(self._host, self._port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            log.debug("name.unknown", error=type(error).__name__)
        finally:
            self._over.set()

    def answer(self, timeout: float | None) -> list[Any]:
        if not self._over.wait(timeout):
            raise NoConnection(f"the name {self._host} was not resolved in time")
        if not self._found:
            raise NoConnection(f"the name {self._host} does not resolve")
        return self._found
