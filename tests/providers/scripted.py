"""A provider over a bare TCP socket, in threads of the test: it remembers what it received, says anything.

An answer is a function of the connection's `write` and of the request; when it returns False, or the client
has gone, the connection is closed.
"""

from __future__ import annotations

import itertools
import json
import socketserver
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass

COOKIE = ("Set-Cookie", "session=of-another-call; Path=/")


@dataclass
class Received:
    """One request, as it arrived. `connection`: which one it came on, counted from 0."""

    path: str
    headers: dict[str, str]
    body: dict
    connection: int

    @property
    def raw(self) -> str:
        return json.dumps([self.path, self.headers, self.body])


class Provider:
    """`answers`: one a request, the last for all that follow. `tls`: an `ssl.SSLContext` to speak it with."""

    def __init__(self, *answers, tls=None):
        self.answers = list(answers)
        self.received: list[Received] = []
        self.connections = 0
        self.closed = 0
        provider = self

        class Handler(socketserver.StreamRequestHandler):
            def setup(self):
                if tls is not None:
                    self.request = tls.wrap_socket(self.request, server_side=True)
                super().setup()

            def finish(self):
                super().finish()
                self.request.close()
                provider.closed += 1

            def handle(self):
                number, provider.connections = provider.connections, provider.connections + 1
                try:
                    while provider.serve(self.rfile, self.wfile.write, number):
                        pass
                except OSError:
                    return  # the client went away

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, request, client_address):
                """A client that breaks off a handshake is no error of the test's."""
                if not isinstance(sys.exception(), OSError):
                    super().handle_error(request, client_address)

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def says(self, *answers):
        """From now on; what was received before is forgotten."""
        self.answers, self.received = list(answers), []
        return self

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def serve(self, file, write, number):
        start = file.readline()
        if not start:
            return False
        headers = {}
        while (line := file.readline().decode().strip()) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = json.loads(file.read(int(headers.get("content-length", 0))))
        self.received.append(Received(start.decode().split()[1], headers, body, number))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(write) is not False


@contextmanager
def provider(*answers, tls=None):
    started = Provider(*answers, tls=tls)
    try:
        yield started
    finally:
        started.close()


def head(status=200, kind="application/json", *headers) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", ": ".join(COOKIE)]
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers), "", ""]).encode()


def answering(body, status=200, *headers):
    """A whole answer: JSON, or bytes as they are."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    def answer(write):
        write(head(status, "application/json", ("Content-Length", len(data)), *headers) + data)

    return answer


def streaming(*events, then=b"", pause=0.0):
    """A stream that is cut off after `events` and `then`, without a length: its end is the connection's."""

    def answer(write):
        write(head(200, "text/event-stream", ("Connection", "close")))
        for event in events:
            write(event if isinstance(event, bytes) else sse(event))
            time.sleep(pause)
        write(then)
        return False

    return answer


def sse(event, name=None) -> bytes:
    data = event if isinstance(event, str) else json.dumps(event)
    return (f"event: {name}\n" if name else "").encode() + f"data: {data}\n\n".encode()


def silent(write):
    """Says nothing until the client has gone."""
    time.sleep(60)
    return False


def dying(write):
    """Closes the connection without an answer."""
    return False


def trickling(prefix: bytes, drop: bytes = b"x", every=0.05, most=None):
    """Bytes that keep coming, too slowly to be of use, until the client has gone (or `most` times)."""

    def answer(write):
        write(prefix)
        for _ in itertools.count() if most is None else range(most):
            write(drop)
            time.sleep(every)
        return False

    return answer
