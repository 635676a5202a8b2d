"""A provider that answers as nobody should, each way below a path of its own: `/interim/chat/completions`."""

from __future__ import annotations

import gzip
import json
import socketserver
import time
from collections.abc import Callable
from contextlib import suppress

Write = Callable[[bytes], object]

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
ZIPPED = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


def without_end(start: bytes, piece: bytes) -> Callable[[Write], None]:
    """The start, and then the piece at full speed, for as long as somebody reads."""

    def answer(write: Write) -> None:
        write(start)
        while True:
            write(piece)

    return answer


def whole(body: bytes, status: int = 200) -> Callable[[Write], None]:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return just(head.encode() + body)


def just(all_of_it: bytes) -> Callable[[Write], None]:
    return lambda write: write(all_of_it)  # type: ignore[return-value]


def saying(message: bytes, usage: bytes = b"{}") -> bytes:
    """A chat completion."""
    return b'{"choices":[{"message":' + message + b',"finish_reason":"stop"}],"usage":' + usage + b"}"


def event(delta: bytes) -> bytes:
    """One of a streamed chat completion."""
    return b'data: {"choices":[{"index":0,"delta":' + delta + b"}]}\n\n"


def call(index: int, words: bytes) -> bytes:
    """A piece of the arguments of a tool call."""
    return event(b'{"tool_calls":[{"index":%d,"function":{"name":"f","arguments":"%s"}}]}' % (index, words))


def silent(write: Write) -> None:
    time.sleep(60)


WORDS = json.dumps({"error": {"message": "the quick brown sk-fox " * 165_000}}).encode()
KEYS = b"{" + b",".join(b'"k%06d":0' % n for n in range(250_000)) + b"}"
BOMB = gzip.compress(bytes(300_000_000))
DEEP = b'{"choices":' + b"[" * 290_000
DIGITS = b'{"prompt_tokens":' + b"9" * 1_900_000 + b',"completion_tokens":1.' + b"9" * 1_900_000 + b"}"
ANSWERS: dict[str, Callable[[Write], None]] = {
    "interim answers": without_end(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2000),
    "headers": without_end(b"HTTP/1.1 200 OK\r\n", b"X-1: a\r\n" * 8000),
    "trailers": without_end(CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-1: a\r\n" * 8000),
    "chunk extensions": without_end(CHUNKED, b"1;" + b"a" * 65_000 + b"\r\n \r\n"),
    "tiny chunks": without_end(CHUNKED, b"1\r\n \r\n" * 10_000),
    "comments": without_end(STREAM, b":\n" * 32_000),
    "empty events": without_end(STREAM, b"data:\n\n" * 9_000),
    "a line without end": without_end(STREAM, b"data: " + b"a" * 65_000),
    "tokens": without_end(STREAM, event(b'{"content":"a"}') * 1000),
    "pieces of a call": without_end(STREAM, call(0, b"a") * 500),
    "calls": without_end(STREAM, b"".join(call(n, b"{}") for n in range(20_000))),
    "half tags": without_end(STREAM, event(b'{"content":"<think>a</thin"}') * 500),
    "a zipped bomb": just(ZIPPED + BOMB),
    "error text in a 200": whole(WORDS),
    "error text": whole(WORDS, 400),
    "usage of keys": whole(saying(b'{"role":"assistant","content":"a"}', KEYS)),
    "a deep answer": whole(DEEP),
    "long numbers": whole(saying(b'{"role":"assistant","content":"a"}', DIGITS)),
    "a million calls": whole(
        saying(b'{"role":"assistant","content":null,"tool_calls":[' + b"{}," * 1_200_000 + b"{}]}")
    ),
    "a million parts said": whole(saying(b'{"role":"assistant","content":[' + b"0," * 1_900_000 + b"0]}")),
    "callback": whole(b"{}"),
    "silent": silent,
}


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        with suppress(OSError):
            asked = self.rfile.readline().split()
            if not asked:  # a client that was ended before it asked
                return
            path = asked[1].decode()
            size = 0
            while (line := self.rfile.readline().strip()) != b"":
                name, _, value = line.partition(b":")
                size = int(value) if name.lower() == b"content-length" else size
            self.rfile.read(size)
            ANSWERS[path.split("/")[1].replace("%20", " ").replace("%2C", ",")](self.wfile.write)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 200


def serve(port: int) -> None:
    """Answer until this process is ended."""
    _Server(("127.0.0.1", port), _Handler).serve_forever()
