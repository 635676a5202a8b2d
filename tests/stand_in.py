"""A gateway to be started in OpenClaw's place: `gateway start --config <file>`. Standard library alone.

It reads OpenClaw's configuration, and behaves as words in its `AGENTS.md` say:
`slow=2` (listens after so many seconds), `waits-for=FILE` (listens once that is there), `never-ready`,
`exit=78` (at the start), `dies=0.5` (so many seconds after it was first found ready), `dies-at-random`,
`deaf` (ignores SIGTERM), `child` (leaves a child behind in its group), `leaver` (one in a session of its
own), `stranger` (the same, without any environment), `floods=5` (megabytes into its log), `leaks=50`
(megabytes, kept), `odd` (its answers hold odd JSON, and some that is none), `endless` (its answers have no
end), `hangs=1` (stops answering so many seconds after it was first found ready).
`once:dies=0.5` does so at its first start alone. A message is asked of its provider, with its key.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import socketserver
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler
from pathlib import Path

HELP = "usage: gateway start --config FILE"
SLEEPS = [sys.executable, "-ISc", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"]
KEPT = []
ODD = [float("nan"), float("inf"), 10**30, "\ud800", {"$ref": "x", "$id": 1, "": {"a.b": -0.0}}]


def main(arguments):
    if "--help" in arguments:
        print(HELP)
        return
    config = json.loads(Path(arguments[arguments.index("--config") + 1]).read_text())
    workspace = Path(config["agents"]["defaults"]["workspace"])
    prompt = workspace / "AGENTS.md"
    told = Told(prompt.read_text() if prompt.exists() else "", workspace / ".started-before")
    signal.signal(signal.SIGTERM, signal.SIG_IGN if told.has("deaf") else ended)
    if code := told.number("exit"):
        print("this configuration cannot be used", flush=True)
        sys.exit(int(code))
    leave_behind(told)
    print("x" * int(told.number("floods") * 1_000_000), flush=True)
    time.sleep(told.number("slow"))
    while (gate := told.text("waits-for")) and not os.path.exists(gate):
        time.sleep(0.02)
    if told.has("never-ready"):
        time.sleep(600)
    if told.has("dies-at-random"):
        end_after(random.uniform(0.1, 1.5))
    serve(config, prompt, told)


class Told:
    """What the prompt says; `first` holds at the first start in this workspace alone."""

    def __init__(self, text, mark):
        first = not mark.exists()
        mark.touch()
        self.words = [word.removeprefix("once:") for word in text.split() if first or "once:" not in word]

    def has(self, word):
        return word in self.words

    def text(self, name):
        found = (re.fullmatch(rf"{name}=(.+)", word) for word in self.words)
        return next((match[1] for match in found if match), "")

    def number(self, name):
        return float(self.text(name) or 0)


def leave_behind(told):
    for word, more in (
        ("child", {}),
        ("leaver", {"start_new_session": True}),
        ("stranger", {"start_new_session": True, "env": {}}),
    ):
        if told.has(word):
            subprocess.Popen(SLEEPS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)


def ended(*_):
    os._exit(0)


def end_after(seconds):
    timer = threading.Timer(seconds, os._exit, [1])
    timer.daemon = True
    timer.start()


def serve(config, prompt, told):
    found_ready = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if found_ready and 0 < told.number("hangs") < time.monotonic() - found_ready[0]:
                time.sleep(600)
            if self.headers.get("Authorization") != f"Bearer {os.environ['OPENCLAW_GATEWAY_TOKEN']}":
                return self.say(401, {})
            self.say(200, {"data": [{"id": "openclaw/main"}]})
            if not found_ready and told.number("dies"):
                end_after(told.number("dies"))
            return found_ready.append(time.monotonic())

        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.headers.get("Authorization") != f"Bearer {os.environ['OPENCLAW_GATEWAY_TOKEN']}":
                return self.say(401, {})
            if told.has("endless"):
                return self.go_on("text/event-stream" if asked["stream"] else "application/json")
            try:
                status, said = 200, answer(config, prompt, asked)
                if told.has("odd"):
                    said["choices"][0]["message"]["odd"] = ODD
            except urllib.error.HTTPError as error:
                said = f"chat completion failed: {error.code} {error.read().decode()}"
                print(json.dumps({"subsystem": "openai-compat", "message": said}), flush=True)
                status, said = 500, {"error": {"message": "internal error", "type": "api_error"}}
            return self.say(status, said)

        def go_on(self, kind):
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(b"\n" * 65536)

        def say(self, status, body):
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            """The log is for what is told."""

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True
        request_queue_size = 64

    server = Server(("127.0.0.1", config["gateway"]["port"]), Handler)
    KEPT.append(bytearray(os.urandom(1024)) * int(told.number("leaks") * 1024))
    print("gateway ready", flush=True)
    server.serve_forever()


def answer(config, prompt, asked):
    """As OpenClaw does: its own prompt and AGENTS.md in front, to the one provider that it has."""
    name, _, model = config["agents"]["defaults"]["model"]["primary"].partition("/")
    provider = config["models"]["providers"][name]
    key = os.environ[provider["apiKey"].strip("${}")]
    system = "You are a personal assistant.\n" + (prompt.read_text() if prompt.exists() else "")
    body = {"model": model, "messages": [{"role": "system", "content": system}, *asked["messages"]]}
    request = urllib.request.Request(
        f"{provider['baseUrl']}/chat/completions",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as got:
        return json.loads(got.read())


if __name__ == "__main__":
    main(sys.argv[1:])
