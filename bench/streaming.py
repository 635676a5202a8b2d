"""What streaming costs: `python -m bench.streaming [first|watchers]`.

Starts the whole stack with the embedded stores, and a provider that takes as long as it is told.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from datetime import datetime

import requests
from redis import Redis

from bench.chat import provider, running, show
from bench.choices import chosen
from tests.stack import Stack

COMING_PER_S = 150
"""Faster, the embedded store is the bottleneck: each who comes is asked for a key, and for the job."""

KEYS = 5
"""One key may hold 256 streams."""


def first(n: int = 300) -> None:
    """One client, one after another: from the request to the first word, directly and through our door."""
    with provider() as address, running(address) as (stack, agent):
        direct, through, alone_http = [], [], requests.Session()
        door = f"http://127.0.0.1:{stack.port}/v1/chat/completions"
        for i in range(n + 20):
            alone = first_word(alone_http, f"{address}/v1/chat/completions", "tiny", f"d-{i}")
            ours = first_word(stack.http, door, agent, f"t-{i}")
            if i >= 20:
                direct.append(alone)
                through.append(ours)
        show("direct", direct)
        show("through the door", through)
        print(f"added at the median: {statistics.median(through) - statistics.median(direct):.1f} ms")


def first_word(session: requests.Session, url: str, model: str, mark: str) -> float:
    """Milliseconds to the first chunk that holds a word."""
    body = {
        "model": model,
        "stream": True,
        "messages": [{"role": "user", "content": f"delay=0.02 words=3 id={mark}"}],
    }
    started = time.perf_counter()
    with session.post(url, json=body, stream=True, timeout=30) as answer:
        answer.raise_for_status()
        lines = answer.iter_lines(chunk_size=None)
        for line in lines:
            if line.startswith(b"data: {") and json.loads(line[6:])["choices"][0]["delta"].get("content"):
                took = (time.perf_counter() - started) * 1000
                list(lines)  # the rest, so that the connection is used again
                return took
    raise AssertionError("no word came")


def watchers(n: int = 1000) -> None:
    """1,000 clients watch over SSE: one job all together, then a hundred jobs, ten clients each."""
    with provider() as address, running(address) as (stack, agent), stack.redis() as redis:
        before = len(redis.client_list())
        for jobs in (1, 100):
            asyncio.run(watched(stack, agent, n, jobs, redis, before))


async def watched(stack: Stack, agent: str, n: int, jobs: int, redis: Redis, before: int) -> None:
    body = {"message": "delay=15 words=50 id=w", "stream": True}
    url = f"{stack.url}/agents/{agent}/chat"
    ids = [stack.http.post(url, json=body, timeout=10).json()["id"] for _ in range(jobs)]
    made = [stack.http.post(f"{stack.url}/keys", json={"role": "viewer"}, timeout=10) for _ in range(KEYS)]
    keys = [one.json()["key"] for one in made]
    watching = []
    for i in range(n):
        watching.append(asyncio.create_task(watch(stack.port, ids[i % jobs], keys[i % KEYS])))
        await asyncio.sleep(1 / COMING_PER_S)
    await asyncio.sleep(2)
    connections = len(redis.client_list()) - before
    heard = await asyncio.gather(*watching)
    ended = {i: datetime.fromisoformat(stack.job(i)["finished_at"]).timestamp() for i in ids}
    late = sorted((at - ended[job]) * 1000 for job, _, at in heard)
    print(
        f"{n} watch {jobs} jobs: {connections} more Redis connections; each heard"
        f" {sorted({deltas for _, deltas, _ in heard})} deltas; `done` came {late[n // 2]:.0f} ms after the"
        f" end at the median, {late[-1]:.0f} ms at most"
    )


async def watch(port: int, job_id: str, text: str) -> tuple[str, int, float]:
    """The job, how many deltas came, and when `done` did."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    path, key = f"/api/v1/jobs/{job_id}/events", f"Authorization: Bearer {text}"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\n{key}\r\n\r\n".encode())
    assert b" 200 " in (said := await reader.readline()), said
    deltas = 0
    while line := await reader.readline():
        deltas += line == b"event: delta\n"
        if line == b"event: done\n":
            break
    at = time.time()
    writer.close()
    return job_id, deltas, at


if __name__ == "__main__":
    chosen(__doc__, {"first": first, "watchers": watchers}, sys.argv[1:])
