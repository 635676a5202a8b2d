"""Chats a second through the door, beside the provider itself and LiteLLM's proxy, in turn on one machine.

`python -m bench.throughput --litellm FOLDER/bin/litellm`; `--help` tells the rest.
With `MONGODB_URI` and `REDIS_URL` it is measured on those. Peers are asked in turn in each round; the figures
are medians of the rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

from bench.load import Round, ask
from tests.ledger_run import Workers
from tests.stack import ROOT, Stack, free_ports

CONFIG = """
model_list:
  - model_name: tiny
    litellm_params: {{model: openai/tiny, api_base: "http://127.0.0.1:{port}/v1", api_key: sk-none}}
general_settings: {{master_key: sk-bench}}
"""


@dataclass(frozen=True)
class Peer:
    name: str
    port: int
    key: str
    model: str


@contextlib.contextmanager
def provider(ms: float = 20) -> Iterator[int]:
    """The provider as a process; its port."""
    port = free_ports(1)
    process = subprocess.Popen([sys.executable, "-m", "bench.load", str(port), str(ms)], cwd=ROOT)
    try:
        yield port
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def litellm(program: str, provider_port: int) -> Iterator[Peer]:
    """LiteLLM's proxy, one worker, no database."""
    port = free_ports(1)
    with tempfile.TemporaryDirectory() as folder:
        config, log = Path(folder) / "config.yaml", Path(folder) / "log"
        config.write_text(CONFIG.format(port=provider_port))
        with log.open("w") as out:
            process = subprocess.Popen(
                [program, "--config", str(config), "--host", "127.0.0.1", "--port", str(port)],
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "LITELLM_LOG": "ERROR", "DISABLE_SCHEMA_UPDATE": "true"},
            )
            try:
                _until_it_answers(f"http://127.0.0.1:{port}/health/liveliness", process)
                yield Peer("litellm", port, "sk-bench", "tiny")
            finally:
                process.kill()
                process.wait()


@contextlib.contextmanager
def ours(
    provider_port: int, web: int = 1, workers: int = 1, **environment: str
) -> Iterator[tuple[Stack, Peer]]:
    """The whole stack with so many web processes and chat workers, and an agent that asks the provider."""
    address = f"127.0.0.1:{provider_port}"
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(
            Path(folder) / "data", CUSTOM_ENDPOINT_ALLOW=address, WEB_CONCURRENCY=str(web), **environment
        )
        stack.start()
        more = Workers(stack, workers - 1)
        try:
            stack.agent("bench", f"http://{address}/v1")
            key = stack.http.headers["Authorization"].removeprefix("Bearer ")
            yield stack, Peer("vutler", stack.port, key, "agent:bench")
        finally:
            more.close()
            stack.stop()


def measure(peer: Peer, *, connections: int, seconds: float, stream: bool = False) -> Round:
    """One round of chats through a peer's OpenAI-compatible door."""
    body = {"model": peer.model, "messages": [{"role": "user", "content": "Hello!"}], "stream": stream}
    headers = {"Authorization": f"Bearer {peer.key}"}
    return ask(
        peer.port,
        "/v1/chat/completions",
        json.dumps(body).encode(),
        headers,
        connections=connections,
        seconds=seconds,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", default="1,4,16,64")
    parser.add_argument("--stream", action="store_true", help="streamed chats; time to the first byte")
    parser.add_argument("--litellm", help="the program, from an environment of its own")
    parser.add_argument("--web", type=int, default=1, help="web processes of ours")
    parser.add_argument("--workers", type=int, default=1, help="chat workers of ours")
    given = parser.parse_args()
    with contextlib.ExitStack() as on:
        port = on.enter_context(provider())
        peers = [Peer("provider", port, "none", "tiny")]
        if given.litellm:
            peers.append(on.enter_context(litellm(given.litellm, port)))
        peers.append(on.enter_context(ours(port, given.web, given.workers))[1])
        for connections in map(int, given.connections.split(",")):
            _show(connections, peers, given)


def _show(connections: int, peers: list[Peer], given: argparse.Namespace) -> None:
    rounds: dict[str, list[Round]] = {peer.name: [] for peer in peers}
    for peer in peers:  # warm
        measure(peer, connections=connections, seconds=2, stream=given.stream)
    for _ in range(given.rounds):
        for peer in peers:
            rounds[peer.name].append(
                measure(peer, connections=connections, seconds=given.seconds, stream=given.stream)
            )
    for peer in peers:
        seen = rounds[peer.name]
        failed = [status for one in seen for status in one.failed]
        print(
            f"{connections:>4} connections  {peer.name:>9}:"
            f" {_median(one.a_second for one in seen):7.1f} a second,"
            f" p50 {_median(one.at(0.5) for one in seen):6.1f} ms,"
            f" p99 {_median(one.at(0.99) for one in seen):6.1f} ms,"
            f" first byte {_median(one.at(0.5, one.first) for one in seen):6.1f} ms"
            + (f", FAILED {len(failed)}: {sorted(set(failed))}" if failed else ""),
            flush=True,
        )


def _median(figures: Iterator[float]) -> float:
    return statistics.median(figures)


def _until_it_answers(address: str, process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"it ended with {process.returncode}")
        with contextlib.suppress(requests.RequestException):
            if requests.get(address, timeout=2).status_code == 200:
                return
        time.sleep(0.5)
    raise SystemExit(f"{address} does not answer")


if __name__ == "__main__":
    main()
