"""A load generator and a provider, both in plain asyncio: the less they take of a core, the more is left.

`python -m bench.load PORT [MS]` is the provider: an OpenAI-compatible chat that takes MS milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.choices import asked_for_help

ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "tiny",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello there."}}
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
    }
).encode()
WORDS = [
    {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "tiny",
        "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}],
    }
    for word in ("Hello", " there", ".")
]
LAST = {**WORDS[0], "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
STREAM = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in [*WORDS, LAST]) + (
    b"data: " + json.dumps({**LAST, "choices": [], "usage": json.loads(ANSWER)["usage"]}).encode() + b"\n\n"
    b"data: [DONE]\n\n"
)


@dataclass
class Round:
    """What clients saw in one round. Times in milliseconds."""

    seconds: float
    took: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def a_second(self) -> float:
        return len(self.took) / self.seconds

    def at(self, share: float, of: list[float] | None = None) -> float:
        """The quantile `share` of the times."""
        ordered = sorted(self.took if of is None else of)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else float("nan")


def ask(
    port: int, path: str, body: bytes, headers: Mapping[str, str], *, connections: int, seconds: float
) -> Round:
    """So many clients ask again and again, each on a connection of its own."""
    return asyncio.run(_ask(port, _request(path, body, headers), connections, seconds))


def _request(path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


async def _ask(port: int, request: bytes, connections: int, seconds: float) -> Round:
    round_, until = Round(seconds), time.perf_counter() + seconds

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (began := time.perf_counter()) < until:
            writer.write(request)
            status, first_at = await _answer(reader)
            ended = time.perf_counter()
            if status != b"200":
                round_.failed.append(status.decode())
                continue
            round_.took.append((ended - began) * 1000)
            round_.first.append((first_at - began) * 1000)
        writer.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    return round_


async def _answer(reader: asyncio.StreamReader) -> tuple[bytes, float]:
    """The status, and when the first byte of the body was there."""
    head = await reader.readuntil(b"\r\n\r\n")
    status = head.split(b" ", 2)[1]
    told = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
    }
    first_at = time.perf_counter()
    if b"content-length" in told:
        await reader.readexactly(int(told[b"content-length"]))
        return status, first_at
    first_at = 0.0
    while size := int(await reader.readuntil(b"\r\n"), 16):
        await reader.readexactly(size + 2)
        first_at = first_at or time.perf_counter()
    await reader.readexactly(2)
    return status, first_at or time.perf_counter()


async def provide(port: int, delay_s: float) -> None:
    """An OpenAI-compatible chat; whatever is asked, it gives the same answer after the same time."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(_length(head))
                await asyncio.sleep(delay_s)
                streamed = json.loads(body or b"{}").get("stream")
                kind, content = ("text/event-stream", STREAM) if streamed else ("application/json", ANSWER)
                lines = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n"
                writer.write(lines.encode() + content)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


def _length(head: bytes) -> int:
    lines = head.lower().split(b"\r\n")
    return sum(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length"))


if __name__ == "__main__":
    if not asked_for_help(__doc__, sys.argv[1:] or ["--help"]):
        asyncio.run(provide(int(sys.argv[1]), float(sys.argv[2] if len(sys.argv) > 2 else 20) / 1000))
