"""What streaming costs: `python -m bench.streaming`.

Starts the whole stack with the embedded stores, and a provider that takes as long as it is told.
"""

from __future__ import annotations

import json
import statistics
import time

import requests

from bench.chat import provider, running, show


def first(n: int = 300) -> None:
    """One client, one after another: from the request to the first word, directly and through our door."""
    with provider() as address, running(address) as (stack, agent):
        direct, through = [], []
        door = f"http://127.0.0.1:{stack.port}/v1/chat/completions"
        for i in range(n + 20):
            alone = first_word(requests.Session(), f"{address}/v1/chat/completions", "tiny", f"d-{i}")
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


if __name__ == "__main__":
    first()
