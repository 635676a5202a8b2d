"""How fast a chat is, and how many one worker holds: `python -m bench.chat [latency|held|chaos|outage]`.

`held 2000 10`: 2,000 calls of 10 s. Starts the whole stack, and a provider that takes as long as it is told.
The stores of `MONGODB_URI` and `REDIS_URL` are used, if given, but by what kills them.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import requests

from bench.choices import chosen
from tests.given import NAMES
from tests.stack import ROOT, Stack, free_ports


@contextmanager
def provider():
    """The counting provider as a process; its address."""
    port = free_ports(1)
    process = subprocess.Popen([sys.executable, "tests/providers/counting.py", str(port)], cwd=ROOT)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(100):
            try:
                requests.get(f"{address}/log", timeout=1)
                break
            except requests.ConnectionError:
                time.sleep(0.1)
        yield address
    finally:
        process.kill()
        process.wait()


@contextmanager
def running(address: str, *, embedded: tuple[str, ...] = (), **environment: str):
    """The stack, and an agent that talks to the provider."""
    with tempfile.TemporaryDirectory() as folder:
        allowed = {"CUSTOM_ENDPOINT_ALLOW": address.removeprefix("http://")}
        stack = Stack(Path(folder) / "data", embedded=embedded, **{**allowed, **environment})
        stack.start()
        try:
            yield stack, stack.agent("bench", f"{address}/v1")
        finally:
            stack.stop()


def latency(n: int = 300) -> None:
    """One client, one after another: POST chat with Prefer: wait, provider 20 ms."""
    with provider() as address, running(address) as (stack, agent):
        direct, through = [], []
        body = {"model": "tiny", "messages": [{"role": "user", "content": "delay=0.02 id=d"}]}
        session = requests.Session()
        for i in range(n + 20):
            started = time.perf_counter()
            session.post(f"{address}/v1/chat/completions", json=body, timeout=10).raise_for_status()
            between = time.perf_counter()
            answer = stack.chat(agent, f"delay=0.02 id=l-{i}", Prefer="wait=30")
            ended = time.perf_counter()
            assert answer.json()["status"] == "succeeded", answer.text
            if i >= 20:
                direct.append((between - started) * 1000)
                through.append((ended - between) * 1000)
        show("direct", direct)
        show("through Vutler", through)
        print(f"added at the median: {statistics.median(through) - statistics.median(direct):.1f} ms")


def held(calls: str = "500", takes_s: str = "5") -> None:
    """So many provider calls at the same time in one chat worker, from a queue that is opened."""
    n = int(calls)
    with provider() as address, running(address) as (stack, agent):
        stack.http.post(f"{stack.url}/queues/chat/pause", timeout=10).raise_for_status()
        with ThreadPoolExecutor(16) as pool:
            ids = list(
                pool.map(lambda i: stack.chat(agent, f"delay={takes_s} id=h-{i}").json()["id"], range(n))
            )
        opened = datetime.now(UTC)
        stack.http.post(f"{stack.url}/queues/chat/resume", timeout=10).raise_for_status()
        time.sleep(float(takes_s))  # none can have ended; to ask after 2,000 takes the embedded store 0.1 s
        with database(stack) as jobs:
            wait_for_all(jobs)
            ended = [jobs.find_one({"_id": i}) for i in ids]
        log = requests.get(f"{address}/log", timeout=5).json()
        after = {
            name: sorted((job[name].replace(tzinfo=UTC) - opened).total_seconds() for job in ended)
            for name in ("started_at", "finished_at")
        }
        print(f"{n} calls of {takes_s} s, {log['most_at_once']} at once;", {job["status"] for job in ended})
        began, last = after["started_at"][-1], after["finished_at"][-1]
        print(f"the last began after {began:.1f} s, and ended after {last:.1f}")
        print(f"the worker had at most {peak_mb(stack):.0f} MB")


def chaos(n: int = 500) -> None:
    """Kill a worker, all workers, Redis, the store, while 500 jobs run."""
    with provider() as address, running(address, embedded=NAMES) as (stack, agent):
        with ThreadPoolExecutor(16) as pool:
            ids = list(pool.map(lambda i: stack.chat(agent, f"delay=2 id=c-{i}").json()["id"], range(n)))
        for words in (("workers.main", "chat"), ("workers.main",), ("valkey-server",), ("secantusd",)):
            print("kill -9", *words, stack.kill(*words))
            time.sleep(3)
        started = time.monotonic()
        with database(stack) as jobs:
            wait_for_all(jobs)
            print(f"all ended {time.monotonic() - started:.0f} s after the last kill")
            kept = [jobs.find_one({"_id": i}) for i in ids]
        print(
            "statuses:",
            {status: sum(j["status"] == status for j in kept) for status in {j["status"] for j in kept}},
        )
        answered = [sum(c["outcome"] == "ok" for c in j["calls"]) for j in kept]
        print("answered calls kept on each job:", set(answered))
        calls = requests.get(f"{address}/log", timeout=5).json()["calls"]
        repeated = sum(calls[f"c-{i}"] - 1 for i in range(n))
        print(
            f"provider calls repeated: {repeated}; owners lost: {sum(len(j.get('lost', [])) for j in kept)}"
        )


def outage(n: int = 100, seconds: float = 40) -> None:
    """The store stands still in the midst of running calls: none is repeated, and new requests hear of it."""
    with provider() as address, running(address, embedded=NAMES) as (stack, agent):
        with ThreadPoolExecutor(16) as pool:
            ids = list(pool.map(lambda i: stack.chat(agent, f"delay=20 id=o-{i}").json()["id"], range(n)))
        stack.until(lambda: all(stack.job(i)["status"] == "running" for i in ids), "all run")
        (store,) = stack.pids("secantusd", "--storage-path")
        os.kill(store, signal.SIGSTOP)
        began = time.monotonic()
        refused = []
        while time.monotonic() - began < seconds:
            asked = time.monotonic()
            status = stack.chat(agent, "id=never").status_code
            refused.append((status, time.monotonic() - asked))
            time.sleep(2)
        os.kill(store, signal.SIGCONT)
        with database(stack) as jobs:
            wait_for_all(jobs)
            kept = [jobs.find_one({"_id": i}) for i in ids]
        calls = requests.get(f"{address}/log", timeout=5).json()["calls"]
        print(
            "statuses:",
            {j["status"] for j in kept},
            "owners lost:",
            sum(len(j.get("lost", [])) for j in kept),
        )
        print("provider calls repeated:", sum(calls[f"o-{i}"] - 1 for i in range(n)))
        print(
            "new requests:", {status for status, _ in refused}, f"slowest {max(s for _, s in refused):.2f} s"
        )


def peak_mb(stack: Stack) -> float:
    """The most memory that the chat worker has had."""
    (pid,) = stack.pids("workers.main", "chat")
    said = Path(f"/proc/{pid}/status").read_text()
    return int(said.partition("VmHWM:")[2].split()[0]) / 1024


@contextmanager
def database(stack: Stack):
    with stack.database() as db:
        yield db.jobs


def wait_for_all(jobs, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while jobs.count_documents({"status": {"$in": ["queued", "running"]}}):
        assert time.monotonic() < deadline, "not all jobs ended"
        time.sleep(0.5)


def show(name: str, figures: list[float]) -> None:
    ordered = sorted(figures)
    slow = ordered[int(len(ordered) * 0.95)]
    print(f"{name:>16}: median {statistics.median(ordered):6.1f} ms, 95 % {slow:6.1f} ms")


if __name__ == "__main__":
    chosen(__doc__, {"latency": latency, "held": held, "chaos": chaos, "outage": outage}, sys.argv[1:])
