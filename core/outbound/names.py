"""Names: resolved within a time, a few at once for each workspace, so that nobody's slow names delay others.

The system's resolver cannot be told to hurry, and a thread that asks it is lost until it answers. So asking
is done beside whoever waits for it, and only so many may be asked for at the same time. Who wants the same
name meanwhile waits for the same answer, which nobody remembers.
"""

from __future__ import annotations

import ipaddress
import math
import socket
import threading
import time
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
JOINED_S = 1.0
"""Seconds for which others may join who asks for a name. A resolver that lost the question tries again after
five (resolv.conf(5)): whoever comes later asks for himself, and is not kept by it."""

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
    """Resolves names, `at_once` of them, and `share` of them for each workspace. Without a `share` all
    workspaces are as one: they wait for each other's answers, too."""

    def __init__(
        self, resolve: Resolve | None = None, *, at_once: int = AT_ONCE, share: int | None = SHARE
    ) -> None:
        self._resolve = resolve
        self._at_once = at_once
        self._share = share
        self._asked: Counter[str] = Counter()
        self._newest: dict[tuple[str, str, int], _Asking] = {}
        self._changed = threading.Condition()

    def resolve(self, host: str, port: int, within_s: float = math.inf) -> list[Any]:
        """What `getaddrinfo` says. Raises `NoConnection` if it knows no such name or says nothing in time.

        An address is its own answer; only one that is spelt as the standards say (no `127.1`, no scope).
        """
        if address := _address(host, port):
            return [address]
        timeout = None if math.isinf(within_s) else within_s
        return self._asking(host, port, timeout).answer(timeout)

    def _asking(self, host: str, port: int, timeout: float | None) -> _Asking:
        """The one to wait for: begun by somebody just now, or here."""
        whose = "" if self._share is None else _whose.get()
        key = (whose, host, port)
        with self._changed:
            if not self._changed.wait_for(lambda: self._joined(key) or self._free(whose), timeout):
                raise NoConnection("too many slow names are being resolved")
            if begun := self._joined(key):
                return begun
            asking = self._newest[key] = _Asking(self._resolve or socket.getaddrinfo, host, port)
            self._asked[whose] += 1
        try:
            threading.Thread(target=self._ask, args=(asking, key), daemon=True, name="name").start()
        except RuntimeError:
            log.warning("name.no_thread_left")
            self._end(asking, key)
        return asking

    def _joined(self, key: tuple[str, str, int]) -> _Asking | None:
        asking = self._newest.get(key)
        return asking if asking and time.monotonic() - asking.began_at < JOINED_S else None

    def _free(self, whose: str) -> bool:
        return self._asked.total() < self._at_once and self._asked[whose] < (self._share or self._at_once)

    def _ask(self, asking: _Asking, key: tuple[str, str, int]) -> None:
        try:
            asking.ask()
        finally:
            self._end(asking, key)

    def _end(self, asking: _Asking, key: tuple[str, str, int]) -> None:
        with self._changed:
            if self._newest.get(key) is asking:
                del self._newest[key]
            self._asked[key[0]] -= 1
            self._asked += Counter()  # forgets those who have none
            self._changed.notify_all()
        asking.over.set()  # last: nobody joins what is answered


class _Asking:
    """One name that is being resolved. `over`: it has been; `began_at`: by the monotonic clock."""

    def __init__(self, resolve: Resolve, host: str, port: int) -> None:
        self.began_at = time.monotonic()
        self.over = threading.Event()
        self._resolve = resolve
        self._host = host
        self._port = port
        self._found: list[Any] = []

    def ask(self) -> None:
        try:
            self._found = self._resolve(self._host, self._port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            log.debug("name.unknown", error=type(error).__name__)

    def answer(self, timeout: float | None) -> list[Any]:
        if not self.over.wait(timeout):
            raise NoConnection(f"the name {self._host} was not resolved in time")
        if not self._found:
            raise NoConnection(f"the name {self._host} does not resolve")
        return self._found


def _address(host: str, port: int) -> tuple[Any, ...] | None:
    """What `getaddrinfo` says of an address, which it would say in a thread; None for anything else."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (str(address), port))
    if address.scope_id is not None:
        return None
    text = socket.inet_ntop(socket.AF_INET6, address.packed)
    return (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (text, port, 0, 0))
