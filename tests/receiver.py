"""A receiver of webhooks that misbehaves at first: how is the last part of the address it is called at."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LONGER_THAN_ANYBODY_WAITS_S = 12


class Receiver:
    """`/500`, `/redirect`, `/slow`: so the first time, 200 from then on; anything else: 200."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.received: defaultdict[str, list[tuple[dict[str, str], bytes]]] = defaultdict(list)

    def start(self) -> None:
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                name = self.path.partition("?")[0].strip("/")
                received[name].append(({k.lower(): v for k, v in self.headers.items()}, body))
                first = len(received[name]) == 1
                if name == "slow" and first:
                    time.sleep(LONGER_THAN_ANYBODY_WAITS_S)
                status = {"500": 500, "redirect": 302}.get(name, 200) if first else 200
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing on the terminal."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """Whoever was too slow finds its client gone."""

        self.server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
