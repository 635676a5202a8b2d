"""Connections whose answers keep a pace: in time, however slowly bytes trickle in, and in bytes.

requests and urllib3 time single reads, so that a byte a second keeps a call alive for ever, already in the
headers. `http.client` reads interim answers (`100 Continue`), trailers and the extensions of chunks without
end. Here the reader below `http.client` asks a `Pace` at each read, plain or TLS, in threads and greenlets.
"""

from __future__ import annotations

import http.client
import io
import math
import socket
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from core.floods import TURN_S, Floods
from core.outbound.guard import PORTS, Guard
from core.outbound.names import Names

POOL = 512
HOSTS = 64
SEND_S = 30.0
URLS = 256
"""So many are remembered as they are sent, and with the pool that their connections are in."""
KEPT_S = 60.0
"""An idle connection is used again within this time. Routers on the way forget it after minutes (AWS's NAT
gateways after 350 s, as their users report, 2026-11) and cut the next request, which may have been read."""
HEAD_BYTES = 128 * 1024
"""What an answer may take that is no body: interim answers and head together, or trailers."""
OVERHEAD = 8
"""A byte of the body may take so many on the wire. In a chunk of its own it takes six."""
Find = Callable[[str, int, str, float], list[tuple[str, int]]]
"""(host, port, scheme, seconds): where to connect, as (address, family)."""
WAITED_S = 0.001
MOST_S = 0.005
"""What counts of a turn at most: the rest was others' time, whom it waited for."""

_floods = Floods(MOST_S)


class Pace:
    """Of one answer: `due`, when its next byte must be there, moves with progress; `ends`, its end, stays."""

    def __init__(self, seconds: float) -> None:
        self.due = time.monotonic() + seconds
        self.ends = math.inf
        self.heard_at = self._asked_at = self._waited_at = time.monotonic()
        self._left_bytes = HEAD_BYTES

    def left(self) -> float:
        """Seconds for the next read. Raises `TimeoutError` when there are none."""
        self._asked_at = time.monotonic()
        left = min(self.due, self.ends) - self._asked_at
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def read(self, size: int) -> None:
        """So many bytes were read. Raises `HTTPException` when too many of them were no body."""
        self.heard_at = time.monotonic()
        self._left_bytes -= size
        if self._left_bytes < 0:
            raise http.client.HTTPException("too many bytes that are no body")

    def body(self, size: int) -> None:
        """So many bytes of the body have come."""
        self._left_bytes += OVERHEAD * size

    def give_way(self) -> None:
        """Let other greenlets run for a while. gevent does so where a read waits; no flood makes one wait."""
        if self.heard_at - self._asked_at > WAITED_S:
            self._waited_at = self.heard_at
        if (ran := time.monotonic() - self._waited_at) > TURN_S:
            time.sleep(_floods.rest(ran))
            self._waited_at = time.monotonic()


def adapter(guard: Guard | None) -> HTTPAdapter:
    """An adapter with paced connections; with a guard, they go only where it lets them."""
    return _Adapter(_pools(guard))


class _Adapter(HTTPAdapter):
    """Finds a pool and gives an answer in 4 µs instead of 65, or 150 where it sets cookies (2026-11)."""

    def __init__(self, pools: dict[str, type[HTTPConnectionPool]]) -> None:
        self.pools = pools
        self._remembered = lru_cache(URLS)(self._pool_key)
        super().__init__(pool_connections=HOSTS, pool_maxsize=POOL)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self.pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = self.pools
        return manager

    def get_connection_with_tls_context(
        self, request: Any, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        if proxies or not request.url.startswith(("http://", "https://")):
            return super().get_connection_with_tls_context(request, verify, proxies, cert)
        key, context = self._remembered(request.url, verify)
        return self.poolmanager.connection_from_pool_key(key, context.copy())

    def request_url(self, request: Any, proxies: Any) -> str:
        return super().request_url(request, proxies) if proxies else request.path_url

    def build_response(self, req: Any, resp: Any) -> Any:
        """The answer of urllib3 itself: nobody asks for the cookies that one of requests looks for."""
        return resp

    def _pool_key(self, url: str, verify: bool | str) -> tuple[Any, dict[str, Any]]:
        """Which pool has the connections, and what makes it: as `PoolManager.connection_from_host` says."""
        request = requests.PreparedRequest()
        request.url = url
        where, how = self.build_connection_pool_key_attributes(request, verify)
        context = {**self.poolmanager.connection_pool_kw, **how, **where}
        if context["port"] is None:
            context["port"] = PORTS[context["scheme"]]
        return self.poolmanager.key_fn_by_scheme[context["scheme"]](context), context


class _PacedReader(io.RawIOBase):
    def __init__(self, raw: Any, sock: socket.socket, pace: Pace) -> None:
        self._raw = raw
        self._sock = sock
        self._pace = pace

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._pace.left())
        size: int | None = self._raw.readinto(buffer)
        self._pace.read(size or 0)
        self._pace.give_way()
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, pace: Pace, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        reader: Any = self.fp
        self.fp = io.BufferedReader(_PacedReader(reader.detach(), sock, pace))


class Bounded(http.client.HTTPConnection):
    """The standard library's; but the whole head of an answer has the time that single reads have there."""

    def response_class(self, sock: socket.socket, *args: Any, **kwargs: Any) -> _Response:  # type: ignore[override]
        return _Response(sock, *args, pace=Pace(float(self.timeout or 0)), **kwargs)


class _Paced:
    """Mixed into urllib3's connections. `pace` is that of the answer under way."""

    pace: Pace

    @property
    def is_connected(self) -> bool:
        """urllib3 asks before it uses a kept connection again: is it open, and was it not idle for long?"""
        still_open: bool = super().is_connected  # type: ignore[misc]
        return still_open and time.monotonic() - self.pace.heard_at < KEPT_S

    def send(self, data: Any) -> None:
        """Sending has a limit of its own: urllib3 would allow the time to connect for a body of megabytes."""
        connection: Any = self
        if connection.sock is None:
            connection.connect()
        connection.sock.settimeout(SEND_S)
        super().send(data)  # type: ignore[misc]

    def response_class(self, sock: socket.socket, *args: Any, **kwargs: Any) -> _Response:
        connection: Any = self
        self.pace = Pace(connection.timeout)
        return _Response(sock, *args, pace=self.pace, **kwargs)


def _pools(guard: Guard | None) -> dict[str, type[HTTPConnectionPool]]:
    find = guard.addresses if guard else _Anywhere().addresses

    class Plain(_Paced, HTTPConnection):  # type: ignore[misc]
        def _new_conn(self) -> socket.socket:
            return _connect(find, self, "http")

    class Secure(_Paced, HTTPSConnection):  # type: ignore[misc]
        def _new_conn(self) -> socket.socket:
            return _connect(find, self, "https")

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


class _Anywhere:
    """Vendors' addresses, which nobody guards. Their names are resolved apart from those that users give."""

    def __init__(self) -> None:
        self.names = Names(share=None)

    def addresses(self, host: str, port: int, scheme: str, within_s: float) -> list[tuple[str, int]]:
        found = self.names.resolve(host, port, within_s)
        return [(str(name[0]), int(family)) for family, _, _, _, name in found]


def _connect(find: Find, connection: HTTPConnection, scheme: str) -> socket.socket:
    """Connect to the first address that answers, of those that were found.

    The name stays in SNI and certificate. The time to connect is for the name and all addresses together.
    """
    port = connection.port or PORTS[scheme]
    pace = Pace(connection.timeout if isinstance(connection.timeout, int | float) else math.inf)
    failure: OSError | None = None
    for address, family in find(connection.host, port, scheme, pace.left()):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(pace.left())
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect((address, port))
        except OSError as error:
            sock.close()
            failure = error
        else:
            sock.settimeout(connection.timeout)
            return sock
    raise urllib3.exceptions.NewConnectionError(connection, f"no connection: {failure}")
