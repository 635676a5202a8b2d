"""The transport: one pair of requests sessions a process, with every surprise of requests switched off.

No `.netrc` (it replaced the user's key in a test), no cookies (one call's cookie travelled on the next), no
redirects, no proxies but the configured one, bodies bounded in size and time.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from core.config import Settings
from core.llm.failures import ProviderBusy, ReadTimeout, Unreachable
from core.llm.guard import Guard

POOL = 512
HOSTS = 64
CHUNK = 65536
ERROR_BYTES = 64 * 1024


@dataclass(frozen=True)
class Deadlines:
    """Seconds: to connect, to the first byte of the answer, between two reads, and for all of it."""

    connect: float
    first_byte: float
    between: float
    total: float


class Answer:
    """An HTTP answer under way. Reads are bounded by the deadlines and by `most_bytes`."""

    def __init__(self, response: requests.Response, deadlines: Deadlines, started: float, most: int) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._ends = started + deadlines.total
        self._most = most
        connection = response.raw.connection
        if connection is not None and connection.sock is not None:
            connection.sock.settimeout(deadlines.between)

    def chunks(self) -> Iterator[bytes]:
        """The body as it comes. Raises `ReadTimeout` or `ProviderBusy`."""
        size = 0
        try:
            while chunk := self._response.raw.read1(CHUNK, decode_content=True):
                size += len(chunk)
                if size > self._most:
                    raise ProviderBusy(
                        f"the answer is larger than {self._most} bytes", http_status=self.status
                    )
                if time.monotonic() > self._ends:
                    raise ReadTimeout("the answer took too long", http_status=self.status)
                yield chunk
        except (urllib3.exceptions.ReadTimeoutError, TimeoutError):
            raise ReadTimeout("the answer stopped coming", http_status=self.status) from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ProviderBusy(
                f"the answer broke off ({type(error).__name__})", http_status=self.status
            ) from None

    def body(self) -> bytes:
        """The whole body; of an error the beginning is enough."""
        data = bytearray()
        for chunk in self.chunks():
            data += chunk
            if self.status >= 400 and len(data) > ERROR_BYTES:
                break
        return bytes(data)


class Transport:
    """Sends requests to providers. Vendors' own addresses are fixed; users' addresses pass the guard."""

    def __init__(self, settings: Settings, deadlines: Deadlines | None = None) -> None:
        self.guard = Guard(settings.custom_endpoint_allow)
        self.most_bytes = settings.provider_answer_bytes
        self.deadlines = deadlines or Deadlines(
            connect=settings.connect_timeout_s,
            first_byte=settings.first_token_timeout_s,
            between=settings.between_tokens_timeout_s,
            total=settings.job_timeout_s,
        )
        self._vendors = _session(
            HTTPAdapter(pool_connections=HOSTS, pool_maxsize=POOL), settings.provider_proxy
        )
        self._guarded = _session(GuardedAdapter(self.guard), None)

    def close(self) -> None:
        self._vendors.close()
        self._guarded.close()

    @contextmanager
    def post(self, url: str, headers: Mapping[str, str], body: bytes, *, guarded: bool) -> Iterator[Answer]:
        """POST, and the answer's head.

        Raises `Unreachable` (nothing was sent), `ReadTimeout`, `ProviderBusy`, `EndpointForbidden`.
        """
        session = self._guarded if guarded else self._vendors
        started = time.monotonic()
        try:
            response = session.post(
                url,
                data=body,
                headers={"Content-Type": "application/json", **headers},
                timeout=(self.deadlines.connect, self.deadlines.first_byte),
                stream=True,
                allow_redirects=False,
            )
        except requests.ConnectTimeout:
            raise Unreachable("no connection within the time allowed") from None
        except requests.ReadTimeout:
            raise ReadTimeout("no answer within the time allowed") from None
        except requests.ConnectionError as error:
            raise _not_answered(error) from None
        except (requests.RequestException, UnicodeError) as error:
            raise Unreachable(f"the request could not be made ({type(error).__name__})") from None
        with response:
            yield Answer(response, self.deadlines, started, self.most_bytes)


def _not_answered(error: requests.ConnectionError) -> Unreachable | ProviderBusy:
    """No connection at all, or one that was cut before the answer: the second may have been charged."""
    reason = error.args[0] if error.args else None
    cause = getattr(reason, "reason", reason)
    never_sent = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.NameResolutionError)
    if isinstance(cause, never_sent) or isinstance(error, requests.exceptions.SSLError):
        return Unreachable("no connection")
    broken = ProviderBusy("the connection was cut before the answer")
    broken.possibly_charged = True
    return broken


def _session(adapter: HTTPAdapter, proxy: str | None) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers = requests.structures.CaseInsensitiveDict(
        {"User-Agent": "vutler", "Accept": "*/*", "Accept-Encoding": "identity"}
    )
    session.proxies = {"http": proxy, "https": proxy} if proxy else {}
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class GuardedAdapter(HTTPAdapter):
    """Connects only to addresses that the guard has just checked; the name stays in SNI and certificate."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        super().__init__(pool_connections=HOSTS, pool_maxsize=POOL)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _guarded_pools(self.guard)


def _guarded_pools(guard: Guard) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _connect(guard, self, "http")

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _connect(guard, self, "https")

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _connect(guard: Guard, connection: HTTPConnection, scheme: str) -> socket.socket:
    """Connect to the first address that answers, of those that the guard let pass."""
    port = connection.port or {"http": 80, "https": 443}[scheme]
    timeout = connection.timeout if isinstance(connection.timeout, int | float) else None
    failure: OSError | None = None
    for address, family in guard.addresses(connection.host, port, scheme):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(timeout)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect((address, port))
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise urllib3.exceptions.NewConnectionError(connection, f"no connection: {failure}")
