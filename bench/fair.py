"""What one workspace's load does to another: `python -m bench.fair [slow|quick|callbacks|budget]`.

Starts the whole stack with the embedded stores, and a provider that takes as long as it is told.
"""

from __future__ import annotations

import socket
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import requests

from bench.chat import provider, running, show
from bench.choices import chosen
from tests.stack import Stack

LISTENERS = 10


class Tenant:
    """A workspace, with a key and an agent of its own."""

    def __init__(self, stack: Stack, name: str, endpoint: str, **limits: object) -> None:
        made = stack.http.post(f"{stack.url}/workspaces", json={"name": name}, timeout=10).json()["id"]
        asked = {"role": "member", **limits}
        key = stack.http.post(
            f"{stack.url}/keys", json=asked, headers={"X-Workspace": made}, timeout=10
        ).json()
        self.url = stack.url
        self.workspace = made
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.headers["Authorization"] = f"Bearer {key['key']}"
        config = {
            "provider": "openai",
            "model": "gpt-4o-mini",
            "api_key": "sk-1",
            "custom_endpoint": endpoint,
        }
        agent = self.http.post(f"{self.url}/agents", json={"name": name, "llm_config": config}, timeout=10)
        agent.raise_for_status()
        self.agent = agent.json()["id"]
        price = {"provider": "openai", "model": "gpt-4o-mini", "input": 0.15, "output": 0.6}
        stack.http.put(f"{stack.url}/workspaces/{made}/prices", json=price, timeout=10).raise_for_status()

    def chat(self, text: str, *, wait_s: int | None = None, **more: str) -> requests.Response:
        headers = {} if wait_s is None else {"Prefer": f"wait={wait_s}"}
        answer = self.http.post(
            f"{self.url}/agents/{self.agent}/chat",
            json={"message": text, **more},
            headers=headers,
            timeout=150,
        )
        answer.raise_for_status()
        return answer

    def many(self, n: int, text: str, **more: str) -> float:
        """So many chats, by 16 clients; how many were accepted a second."""
        started = time.monotonic()
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda i: self.chat(f"{text} id={self.workspace[-6:]}-{i}", **more), range(n)))
        return n / (time.monotonic() - started)

    def quick_chats(self, seconds: float) -> list[float]:
        """How long a chat of 20 ms takes, one after another for so long; milliseconds."""
        took, until = [], time.monotonic() + seconds
        while time.monotonic() < until:
            started = time.perf_counter()
            answer = self.chat(f"delay=0.02 id=q-{len(took)}", wait_s=120).json()
            assert answer["status"] == "succeeded", answer
            took.append((time.perf_counter() - started) * 1000)
            time.sleep(0.1)
        return took


@contextmanager
def two(**environment: str) -> Iterator[tuple[Stack, Tenant, Tenant]]:
    """The stack with a greedy workspace and another one."""
    with provider() as address, running(address, **environment) as (stack, _):
        tenants = (Tenant(stack, name, f"{address}/v1") for name in ("greedy", "other"))
        yield stack, next(tenants), next(tenants)


def slow(n: int = 2000) -> None:
    """A has 2,000 jobs of 10 s; B asks a chat of 20 ms."""
    backlog(n, "delay=10", seconds=40)


def quick(n: int = 10_000) -> None:
    """A resumes 10,000 quick jobs; B asks a chat of 20 ms."""
    backlog(n, "delay=0.02", seconds=60)


def backlog(n: int, text: str, *, seconds: float) -> None:
    with two() as (stack, greedy, other):
        show("undisturbed", other.quick_chats(5))
        stack.http.post(f"{stack.url}/queues/chat/pause", timeout=10).raise_for_status()
        print(f"{n} of A, accepted {greedy.many(n, text):.0f} a second", flush=True)
        stack.http.post(f"{stack.url}/queues/chat/resume", timeout=10).raise_for_status()
        took = other.quick_chats(seconds)
        show(f"beside {n} of A", took)
        print(f"{len(took)} chats, the slowest {max(took):.0f} ms; of A wait {waiting(stack)} still")


def waiting(stack: Stack) -> int:
    queues = stack.http.get(f"{stack.url}/queues", timeout=60).json()["items"]
    return int(next(queue["depth"] for queue in queues if queue["name"] == "chat"))


def callbacks(n: int = 300) -> None:
    """300 callbacks of A go to ten addresses that hang; how late does B's come?"""
    silent = [socket.create_server(("127.0.0.1", 0), backlog=200) for _ in range(LISTENERS)]
    heard = socket.create_server(("127.0.0.1", 0), backlog=200)
    ports = [one.getsockname()[1] for one in (*silent, heard)]
    with provider() as address:
        allowed = ",".join([address.removeprefix("http://"), *(f"127.0.0.1:{port}" for port in ports)])
        with running(address, CUSTOM_ENDPOINT_ALLOW=allowed) as (stack, _):
            greedy, other = (Tenant(stack, name, f"{address}/v1") for name in ("greedy", "other"))
            show("undisturbed", [told(other, heard) for _ in range(5)])
            for i in range(n):
                greedy.chat(f"id=c-{i}", callback_url=f"http://127.0.0.1:{ports[i % LISTENERS]}/")
            show(f"beside {n} hanging", [told(other, heard) for _ in range(20)])


def told(tenant: Tenant, heard: socket.socket) -> float:
    """Milliseconds from the end of a chat to its callback."""
    port = heard.getsockname()[1]
    tenant.chat("id=told", wait_s=60, callback_url=f"http://127.0.0.1:{port}/")
    started = time.perf_counter()
    connection, _ = heard.accept()
    took = (time.perf_counter() - started) * 1000
    with connection:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    return took


def budget(n: int = 1500, rounds: int = 20) -> None:
    """1,500 jobs wait under a key with a budget, and under one without: accepts a second, in short turns.

    Each turn is set against the other tenant's next to it, since a machine that others use changes quickly.
    """
    with provider() as address, running(address) as (stack, _):
        tenants = (
            Tenant(stack, "free", f"{address}/v1"),
            Tenant(stack, "bound", f"{address}/v1", budget_usd=1000, budget_period="day"),
        )
        stack.http.post(f"{stack.url}/queues/chat/pause", timeout=10).raise_for_status()
        for tenant in tenants:
            tenant.many(n, "delay=0.02")
        rates: list[list[float]] = [[], []]
        for i in range(rounds):
            for which in (0, 1) if i % 2 else (1, 0):
                rates[which].append(tenants[which].many(100, "delay=0.02 more"))
        free, bound = map(statistics.median, rates)
        print(f"accepted a second: without a budget {free:.0f}, with one {bound:.0f}")
        low, middle, high = statistics.quantiles(b / f for f, b in zip(*rates, strict=True))
        print(f"ratio {middle:.2f}, half of the turns between {low:.2f} and {high:.2f}")


if __name__ == "__main__":
    chosen(__doc__, {"slow": slow, "quick": quick, "callbacks": callbacks, "budget": budget}, sys.argv[1:])
