"""Connections to providers: each read is held to a deadline that a trickle of bytes does not move.

requests and urllib3 time single reads, so that a byte a second keeps a call alive for ever, in the headers
already. Here the reader below `http.client` asks a clock before each read, plain or TLS, thread or greenlet.
It also counts what is read: `http.client` itself reads interim answers (`100 Continue`), trailers and the
extensions of chunks without end.
"""

from __future__ import annotations

import http.client
import io
import math
import socket
import time
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from core.outbound.guard import Guard

POOL = 512
HOSTS = 64
SEND_S = 30.0
KEPT_S = 60.0
"""An idle connection is used again within this time. Routers on the way forget it after minutes (AWS's NAT
gateways after 350 s, as their users report, 2026-11) and cut the next request, which may have been read."""
HEAD_BYTES = 128 * 1024
"""For interim answers and the head together, and for the trailers of a body without a byte."""
OVERHEAD = 8
"""Bytes on the wire that a byte of the body may cost: six in a chunk of its own."""
TURN_S = 0.01


class Clock:
    """When the next byte must have come, and how many may: `due` is moved by progress, `ends` stays.

    `left_bytes`: how many more may come on the wire before another byte of the body does.
    """

    def __init__(self, seconds: float) -> None:
        self.due = time.monotonic() + seconds
        self.ends = math.inf
        self.left_bytes = HEAD_BYTES
        self.heard_at = self._turned = time.monotonic()

    def left(self) -> float:
        """Seconds for the next read. Raises `TimeoutError` when there are none."""
        left = min(self.due, self.ends) - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def count(self, size: int) -> None:
        """So many bytes were read. Raises `HTTPException` when they are too many without a body."""
        self.heard_at = time.monotonic()
        self.left_bytes -= size
        if self.left_bytes < 0:
            raise http.client.HTTPException("too many bytes that are no body")

    def give_way(self) -> None:
        """Let other greenlets run: gevent switches where a read waits, and this one may never have to."""
        if self.heard_at - self._turned > TURN_S:
            time.sleep(0)
            self._turned = time.monotonic()


def adapter(guard: Guard | None) -> HTTPAdapter:
    """An adapter with paced connections; with a guard, they go only where it lets them."""
    return _Adapter(_pools(guard))


class _Adapter(HTTPAdapter):
    def __init__(self, pools: dict[str, type[HTTPConnectionPool]]) -> None:
        self.pools = pools
        super().__init__(pool_connections=HOSTS, pool_maxsize=POOL)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self.pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = self.pools
        return manager


class Session(requests.Session):
    """A session without the surprises: no environment, no cookies, no redirects."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None for all: even when told not to follow, requests reads a redirect's whole body first."""


class _PacedReader(io.RawIOBase):
    def __init__(self, raw: Any, sock: socket.socket, clock: Clock) -> None:
        self._raw = raw
        self._sock = sock
        self._clock = clock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._clock.left())
        size: int | None = self._raw.readinto(buffer)
        self._clock.count(size or 0)
        self._clock.give_way()
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, clock: Clock, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        reader: Any = self.fp
        self.fp = io.BufferedReader(_PacedReader(reader.detach(), sock, clock))


class _Paced:
    """Mixed into urllib3's connections. `clock` is that of the answer under way."""

    clock: Clock

    @property
    def is_connected(self) -> bool:
        """urllib3 asks before it uses a kept connection again: is it open, and was it not idle for long?"""
        still_open: bool = super().is_connected  # type: ignore[misc]
        return still_open and time.monotonic() - self.clock.heard_at < KEPT_S

    def send(self, data: Any) -> None:
        """Sending has a limit of its own: urllib3 would allow the time to connect for a body of megabytes."""
        connection: Any = self
        if connection.sock is None:
            connection.connect()
        connection.sock.settimeout(SEND_S)
        super().send(data)  # type: ignore[misc]

    def response_class(self, sock: socket.socket, *args: Any, **kwargs: Any) -> _Response:
        connection: Any = self
        self.clock = Clock(connection.timeout)
        return _Response(sock, *args, clock=self.clock, **kwargs)


def _pools(guard: Guard | None) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(_Paced, HTTPConnection):  # type: ignore[misc]
        def _new_conn(self) -> socket.socket:
            return _connect(guard, self, "http") if guard else super()._new_conn()

    class Secure(_Paced, HTTPSConnection):  # type: ignore[misc]
        def _new_conn(self) -> socket.socket:
            return _connect(guard, self, "https") if guard else super()._new_conn()

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _connect(guard: Guard, connection: HTTPConnection, scheme: str) -> socket.socket:
    """Connect to the first address that answers, of those that the guard let pass.

    The name stays in SNI and certificate; the time to connect is for all addresses together.
    """
    port = connection.port or {"http": 80, "https": 443}[scheme]
    clock = Clock(connection.timeout if isinstance(connection.timeout, int | float) else math.inf)
    failure: OSError | None = None
    for address, family in guard.addresses(connection.host, port, scheme):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(clock.left())
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect((address, port))
        except OSError as error:
            sock.close()
            failure = error
        else:
            sock.settimeout(connection.timeout)
            return sock
    raise urllib3.exceptions.NewConnectionError(connection, f"no connection: {failure}")
