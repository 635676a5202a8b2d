"""What a hostile tenant does to another one: `python -m bench.hostile [ACT …]`; all acts without a name.

Starts the whole stack with the embedded stores. During each act another workspace asks a chat of 20 ms and
`/healthz`, over and over; their times stand by the undisturbed ones, with the memory before and after, the
seconds until it was back, and how many failed. Slow names need a resolver that never answers: as root,
`unshare -m sh -c 'echo nameserver 192.0.2.1 > /tmp/r; mount --bind /tmp/r /etc/resolv.conf; exec python -m
bench.hostile "slow names"'`.
"""

from __future__ import annotations

import os
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import requests

from bench.chat import provider, running
from bench.choices import asked_for_help
from bench.fair import Tenant
from bench.hostile_client import FLOODS, Hostile, every, frames, slow_uploads
from bench.hostile_provider import ANSWERS, serve
from tests.stack import Stack, free_ports

SECONDS = 8.0
REST_S = 4.0
BACK_MB, BACK_WITHIN_S = 100.0, 30.0
"""How near memory is to come to what it was, and how long that is waited for. A body that waits for its turn
holds its bytes for a third of that, a request that waits for an answer for half."""
FORK = get_context("fork")
REFERENCE = {"$ref": "x", "$id": "y"}


def answered_with(act: str) -> Callable[[Hostile], None]:
    """Its provider answers so, ten times at once; half of the chats are streamed."""

    def chats(hostile: Hostile) -> None:
        agent = hostile.agent(act)
        every(lambda n: hostile.post({"message": "hello", "stream": n % 2 == 0}, agent))

    return chats


def with_body(*bodies: bytes) -> Callable[[Hostile], None]:
    """It sends such bodies, ten at once."""
    return lambda hostile: every(lambda n: hostile.post(bodies[n % len(bodies)]))


def idle(hostile: Hostile) -> None:
    """2,000 connections say nothing. Those that were hung up on come again."""
    held = [socket.create_connection(("127.0.0.1", hostile.port)) for _ in range(2000)]
    while True:
        held.pop(0).close()
        held.append(socket.create_connection(("127.0.0.1", hostile.port)))
        time.sleep(0.01)


def streams(hostile: Hostile) -> None:
    """One key asks for 400 streams of events."""
    job = hostile.tenant.chat("delay=60 id=watched").json()["id"]
    url = f"{hostile.tenant.url}/jobs/{job}/events"
    head = {"Authorization": hostile.key}
    held = [requests.get(url, headers=head, stream=True, timeout=60) for _ in range(400)]
    print("  refused:", sum(answer.status_code == 429 for answer in held), "of 400 streams")
    time.sleep(60)


def slow_names(hostile: Hostile) -> None:
    """30 names that nobody resolves, in chats of one workspace."""
    ids = [hostile.agent(f"slow {n}", f"https://slow-{n}.example.com/v1") for n in range(30)]
    every(lambda n: hostile.post({"message": "hello"}, ids[n % len(ids)]), at_once=len(ids))


def forms(hostile: Hostile) -> None:
    """Uploads of 10,000 parts, and of files that begin with thousands of comments."""
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n%s\r\n'
    bodies = [part % b"a" * 10_000 + b"--x--\r\n", part % (b"<!---->" * 22) + b"--x--\r\n"]
    headers = {"Authorization": hostile.key, "Content-Type": "multipart/form-data; boundary=x"}
    url = f"{hostile.tenant.url}/drive/files"
    every(lambda n: requests.post(url, data=bodies[n % 2], headers=headers, timeout=60))


def large_reads(hostile: Hostile) -> None:
    """A job of 8 MB is read over and over, alone and in a list."""
    job = hostile.post({"message": "a" * 8_000_000}).json().get("id")
    print("  a job of 8 MB:", job)
    urls = [f"{hostile.tenant.url}/jobs/{job}", f"{hostile.tenant.url}/jobs?limit=200&q={'a' * 200}"]
    every(lambda n: requests.get(urls[n % 2], headers={"Authorization": hostile.key}, timeout=60))


def poison(hostile: Hostile) -> None:
    """Names that mean something to the store, everywhere, and a callback that would tell them."""
    asked = {
        "message": "delay=0 id=poison",
        "metadata": REFERENCE,
        "tools": [{"type": "function", "function": {"name": "f", "parameters": REFERENCE}}],
        "callback_url": f"{hostile.at}/callback",
    }
    every(lambda _: hostile.post(asked), at_once=4)


def hanging_callbacks(hostile: Hostile) -> None:
    """Its callbacks go where nobody answers."""
    every(lambda n: hostile.post({"message": f"id=h-{n}", "callback_url": f"{hostile.at}/silent"}), at_once=4)


BODIES = {
    "a million parts": b'{"messages":[{"role":"user","content":[' + b"0," * 1_000_000 + b"0]}]}",
    "tools of millions": b'{"message":"a","tools":[{"x":[' + b"0," * 4_900_000 + b"0]}]}",
    "700,000 keys": b'{"message":"a","tools":[{'
    + b",".join(b'"k%06d":0' % n for n in range(700_000))
    + b"}]}",
    "a long string": b'{"message":"' + rb"\u00e9" * 1_600_000 + b'"}',
    "deep": b'{"metadata":' + b"[" * 49_000 + b"]" * 49_000 + b"}",
    "as many keys as may be": b'{"message":"a","tools":[{"x":{'
    + b",".join(b'"k%05d":0' % n for n in range(49_000))
    + b"}}]}",
    "as many as may be": b'{"messages":[{"role":"user","content":[' + b"0," * 99_900 + b"0]}]}",
    "as many messages as may be": b'{"messages":['
    + b",".join([b'{"role":"user","content":"a"}'] * 10_000)
    + b"]}",
    "names that nobody knows": b"{" + b",".join(b'"k%05d":0' % n for n in range(49_900)) + b"}",
}
ACTS: dict[str, Callable[[Hostile], None]] = {
    **{name: answered_with(name) for name in ANSWERS if name not in ("callback", "silent")},
    **{name: with_body(body) for name, body in BODIES.items()},
    **FLOODS,
    "idle connections": idle,
    "slow uploads": slow_uploads,
    "slow names": slow_names,
    "forms": forms,
    "large reads": large_reads,
    "event streams": streams,
    "WebSocket pings": frames,
    "poison": poison,
    "hanging callbacks": hanging_callbacks,
}


class Measured:
    """Milliseconds of another workspace's chats and of `/healthz`, asked side by side."""

    def __init__(self, stack: Stack, other: Tenant, seconds: float) -> None:
        self.until = time.monotonic() + seconds
        self.chats: list[float] = []
        self.health: list[float] = []
        self.failed = 0
        url = f"http://127.0.0.1:{stack.port}/healthz"
        asking = (
            (self.chats, lambda: other.chat("delay=0.02 id=q", wait_s=60)),
            (self.health, lambda: requests.get(url, timeout=60)),
        )
        threads = [threading.Thread(target=self._ask, args=both) for both in asking]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _ask(self, into: list[float], ask: Callable[[], requests.Response]) -> None:
        while time.monotonic() < self.until:
            started = time.perf_counter()
            try:
                ask().raise_for_status()
            except requests.RequestException as error:
                self.failed += 1
                print(f"  {error}", flush=True)
            into.append((time.perf_counter() - started) * 1000)
            time.sleep(0.05)


def cancel_all(tenant: Tenant) -> None:
    """So that no act goes on beside the next one."""
    for status in ("queued", "running"):
        jobs = tenant.http.get(f"{tenant.url}/jobs?status={status}&limit=200", timeout=60).json()["items"]
        for job in jobs:
            tenant.http.post(f"{tenant.url}/jobs/{job['id']}/cancel", timeout=60)


def memory(stack: Stack) -> float:
    """Megabytes that web and chat worker hold."""
    pids = {*stack.pids("web.main:build"), *stack.pids("workers.main", "chat")}
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def beside(target: Callable[..., None], *args: Any) -> Iterator[None]:
    """A process of its own does this meanwhile, at the lowest priority, as from another machine."""

    def nice() -> None:
        os.nice(19)
        target(*args)

    process = FORK.Process(target=nice, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def back(stack: Stack, before: float) -> tuple[float, float]:
    """Megabytes that are held once they are near to those before, and the seconds that this took."""
    over = time.monotonic()
    time.sleep(REST_S)
    while memory(stack) > before + BACK_MB and time.monotonic() < over + BACK_WITHIN_S:
        time.sleep(1)
    return memory(stack), time.monotonic() - over


def show(name: str, found: Measured, before: float, after: float, seconds: float = 0) -> None:
    figures = [
        f"{statistics.median(times):7.0f} {sorted(times)[int(len(times) * 0.99)]:7.0f}"
        for times in (found.chats, found.health)
    ]
    print(
        f"{name:>24} {figures[0]}  {figures[1]}  {before:7.0f} {after:7.0f} {seconds:4.0f} {found.failed:7}",
        flush=True,
    )


def main(names: list[str]) -> None:
    port = free_ports(1)
    with provider() as address, beside(serve, port):
        allowed = f"{address.removeprefix('http://')},127.0.0.1:{port}"
        with running(address, CUSTOM_ENDPOINT_ALLOW=allowed) as (stack, _):
            greedy, other = (Tenant(stack, name, f"{address}/v1") for name in ("greedy", "other"))
            hostile = Hostile(greedy, stack.port, f"http://127.0.0.1:{port}")
            print(f"{'':>24}    chat p50, p99   /healthz p50, p99   MB before, after, s  failed")
            before = memory(stack)
            show("undisturbed", Measured(stack, other, SECONDS), before, memory(stack))
            for name in names or ACTS:
                before = memory(stack)
                with beside(ACTS[name], hostile):
                    time.sleep(1)
                    found = Measured(stack, other, SECONDS)
                cancel_all(greedy)
                show(name, found, before, *back(stack, before))


if __name__ == "__main__":
    if not asked_for_help(__doc__, sys.argv[1:]):
        main(sys.argv[1:])
