"""A client that sends as nobody should: the floods of `bench.hostile`."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import requests

from bench.fair import Tenant

AT_ONCE = 10
TOLD_S = 8.0


class Hostile:
    """The greedy workspace, as its own process uses it. `at`: where its provider listens."""

    def __init__(self, tenant: Tenant, port: int, at: str) -> None:
        self.tenant = tenant
        self.port = port
        self.at = at
        self.key = tenant.http.headers["Authorization"]

    def post(self, body: bytes | dict[str, Any], agent: str | None = None) -> requests.Response:
        data = {"data": body} if isinstance(body, bytes) else {"json": body}
        headers = {"Authorization": self.key, "Content-Type": "application/json", "Prefer": "wait=15"}
        url = f"{self.tenant.url}/agents/{agent or self.tenant.agent}/chat"
        return requests.post(url, headers=headers, timeout=60, **data)  # type: ignore[arg-type]

    def agent(self, act: str, endpoint: str | None = None) -> str:
        config = {
            "provider": "openai",
            "model": "m",
            "api_key": "sk-1",
            "custom_endpoint": endpoint or f"{self.at}/{quote(act)}",
        }
        made = self.tenant.http.post(
            f"{self.tenant.url}/agents", json={"name": act, "llm_config": config}, timeout=30
        )
        return str(made.json()["id"])


def every(act: Callable[[int], Any], at_once: int = AT_ONCE) -> None:
    """Do it over and over, so many at once, until this process is ended."""

    told: Counter[str] = Counter()

    def again(n: int) -> None:
        while True:
            try:
                act(n)
            except OSError as error:
                told[type(error).__name__] += 1
            n += 1

    threads = [threading.Thread(target=again, args=(n,), daemon=True) for n in range(at_once)]
    for thread in threads:
        thread.start()
    time.sleep(TOLD_S)
    print("  its connections:", dict(told) or "no failures", flush=True)
    threads[0].join()


def sending(*heads: bytes, piece: bytes = b"", times: int = 1_000_000) -> Callable[[Hostile], None]:
    """Ten connections send the start of a request, and then the piece as often as somebody reads it."""

    def flood(hostile: Hostile, n: int) -> None:
        head = heads[n % len(heads)].replace(b"KEY", hostile.key.encode())
        head = head.replace(b"AGENT", hostile.tenant.agent.encode())
        with socket.create_connection(("127.0.0.1", hostile.port), timeout=30) as connection:
            threading.Thread(target=swallow, args=(connection,), daemon=True).start()
            connection.sendall(head)
            for _ in range(times):
                connection.sendall(piece)

    return lambda hostile: every(lambda n: flood(hostile, n))


def swallow(connection: socket.socket) -> None:
    with suppress(OSError):
        while connection.recv(1_000_000):
            pass


def slow_uploads(hostile: Hostile) -> None:
    """500 connections send a body of which a byte comes each second."""
    head = POST.replace(b"KEY", hostile.key.encode()).replace(b"AGENT", hostile.tenant.agent.encode())
    held: list[socket.socket] = []
    while True:
        while len(held) < 500:
            held.append(socket.create_connection(("127.0.0.1", hostile.port), timeout=30))
            held[-1].sendall(head + b"Content-Length: 1000000\r\n\r\n")
        for one in list(held):
            try:
                one.sendall(b" ")
            except OSError:
                held.remove(one)
        time.sleep(1)


def frames(hostile: Hostile) -> None:
    """Ten WebSockets send pings without end, each of which is answered."""
    job = hostile.tenant.chat("delay=60 id=pinged").json()["id"]
    sending(UPGRADE.replace(b"JOB", job.encode()), piece=b"\x89\x80\0\0\0\0" * 10_000)(hostile)


POST = (
    b"POST /api/v1/agents/AGENT/chat HTTP/1.1\r\nHost: a\r\nAuthorization: KEY\r\n"
    b"Content-Type: application/json\r\n"
)
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
UPGRADE = (
    b"GET /api/v1/jobs/JOB/ws HTTP/1.1\r\nHost: a\r\nAuthorization: KEY\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
FLOODS: dict[str, Callable[[Hostile], None]] = {
    "pipelined requests": sending(GET, piece=GET * 1000),
    "pipelined, without a key": sending(b"", piece=GET.replace(b"healthz", b"api/v1/jobs") * 1000),
    "tiny chunks sent": sending(CHUNKED, piece=b"1\r\n \r\n" * 10_000),
    "tiny chunks, without a key": sending(
        CHUNKED.replace(b"Authorization: KEY\r\n", b""), piece=b"1\r\n \r\n" * 10_000
    ),
    "chunk extensions sent": sending(CHUNKED, piece=b"1;a=" + b"a" * 8000 + b"\r\n \r\n"),
    "trailers sent": sending(CHUNKED + b"2\r\n{}\r\n0\r\n", piece=b"X-1: a\r\n" * 8000),
    "headers sent": sending(POST, piece=b"X-1: a\r\n" * 8000),
    "empty lines sent": sending(b"", piece=b"\r\n" * 30_000),
    "expecting 100": sending(
        POST + b"Expect: 100-continue\r\nContent-Length: 10000000\r\n\r\n", piece=b" " * 9999
    ),
    "HTTP/1.0": sending(
        b"", piece=GET.replace(b"1.1", b"1.0").replace(b": a", b": a\r\nConnection: keep-alive") * 1000
    ),
    "long queries": sending(b"", piece=b"GET /api/v1/jobs?q=" + b"a" * 1_000_000),
}
