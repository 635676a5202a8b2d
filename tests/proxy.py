"""A small TCP proxy that can lose replies: the request arrives, is carried out, and nobody hears of it."""

from __future__ import annotations

import contextlib
import socket
import threading
from urllib.parse import urlsplit


class Proxy:
    """At `uri`, in front of the store at `behind`.

    After `lose_reply_to(mark, n)` the next `n` requests with `mark` lose theirs: their connection ends, or,
    where `hangs`, stays as it is.
    """

    def __init__(self, behind: str) -> None:
        address = urlsplit(behind)
        self.target = (address.hostname, address.port or 27017)
        self.lost = 0
        self.hangs = False
        self._mark = b""
        self._left = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = [self._listener]
        user, at, _ = address.netloc.rpartition("@")
        port = self._listener.getsockname()[1]
        self.uri = f"mongodb://{user}{at}127.0.0.1:{port}/?directConnection=true&retryWrites=false"
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_reply_to(self, mark: bytes, n: int = 1) -> None:
        self._mark, self._left = mark, n

    def close(self) -> None:
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            self._sockets += [client, server]
            losing = threading.Event()
            threading.Thread(target=self._pump, args=(client, server, losing, True), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, losing, False), daemon=True).start()

    def _pump(
        self, source: socket.socket, sink: socket.socket, losing: threading.Event, requests: bool
    ) -> None:
        try:
            while data := source.recv(1 << 20):
                if requests and self._left and self._mark in data:
                    self._left -= 1
                    losing.set()
                elif not requests and losing.is_set():
                    self.lost += 1
                    if self.hangs:
                        continue
                    break
                sink.sendall(data)
        except OSError:
            pass  # the other direction closed both
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
