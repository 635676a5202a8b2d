"""The whole of Vutler as processes, started by its own launcher, to be talked to and to be killed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import redis
import requests
from pymongo import MongoClient
from pymongo.database import Database

from core.config import Settings
from core.embedded import __main__ as launcher
from tests import given
from tests.waiting import LONG_S, until

ROOT = Path(__file__).resolve().parent.parent
PORTS, BLOCK = (12_000, 28_000), 8
HELD: list[socket.socket] = []
"""What keeps this process's blocks of ports from others, until it ends."""
FEWER = "import sys; from tests.stack import fewer; sys.exit(fewer(sys.argv[1].split(',')))"
ADMIN_KEY = "test-admin-key-0123456789abcdef0123456789"


class Stack:
    """What `python -m core.embedded` starts, with a data directory and ports of its own.

    On the stores that were given (`tests/given.py`), if any. `embedded`: the names of those that tests kill.
    `without`: those of the Procfile that no test of this stack has work for; each takes 2 s to start.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        embedded: tuple[str, ...] = (),
        without: tuple[str, ...] = (),
        **environment: str,
    ) -> None:
        self.host = "127.0.0.1"
        self.port = free_ports()
        self.url = f"http://127.0.0.1:{self.port}/api/v1"
        self.data_dir = data_dir
        self.log = (data_dir.parent / f"{data_dir.name}.log").open("w+")
        self.command = launching(without)
        self.given = given.stores(embedded)
        self.environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(data_dir.parent),
            "PORT": str(self.port),
            "DATA_DIR": str(data_dir),
            "ADMIN_API_KEY": ADMIN_KEY,
            "WORKER_GRACE_S": "3",
            "STORE_ANSWERS_WITHIN_S": "60",
            "START_WITHIN_S": str(round(LONG_S)),
            **self.given,
            **environment,
        }
        self.http = Patient()
        self.http.headers["Authorization"] = f"Bearer {ADMIN_KEY}"

    def start(self) -> None:
        self.launch()
        self.until(self.ready, "the stack is ready")

    def launch(self) -> None:
        """Start the launcher, without waiting for what it starts."""
        self.launcher = subprocess.Popen(
            [sys.executable, *self.command],
            cwd=ROOT,
            env=self.environment,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )

    def stop(self) -> None:
        """As an operator would; nothing more to do for one that has ended."""
        self.http.close()
        self.launcher.send_signal(signal.SIGTERM)  # Popen sends nothing to what has ended
        try:
            self.launcher.wait(LONG_S)
        finally:
            self.log.close()
            given.give_back(self.given)

    def ready(self) -> bool:
        if self.launcher.poll() is not None:
            raise AssertionError(f"the launcher ended with {self.launcher.returncode}:\n{self.said()}")
        with contextlib.suppress(requests.RequestException):
            return self.http.get(f"http://{self.host}:{self.port}/readyz").status_code == 200
        return False

    def said(self) -> str:
        self.log.flush()
        return Path(self.log.name).read_text()[-6000:]

    def until(self, holds: Any, what: str, *, seconds: float = LONG_S, every: float = 0.25) -> None:
        """Wait until `holds()`; fails with the log's end when it does not within `seconds`."""
        until(holds, what, seconds=seconds, every=every, said=self.said)

    def pids(self, *words: str) -> list[int]:
        """Processes of this stack whose command line holds all of `words`, oldest first."""
        family, found = {self.launcher.pid}, []
        parents = dict(all_processes())
        for pid in sorted(parents):
            ancestor = pid
            while ancestor in parents and ancestor not in family:
                ancestor = parents[ancestor]
            if ancestor in family:
                family.add(pid)
                if all(word in command(pid) for word in words):
                    found.append(pid)
        return found

    def kill(self, *words: str, how: int = signal.SIGKILL) -> list[int]:
        """Send a signal to the processes that `pids` finds."""
        killed = self.pids(*words)
        for pid in killed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
        return killed

    def kill_one(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    @contextlib.contextmanager
    def database(self) -> Iterator[Database[dict[str, Any]]]:
        """Its store, looked into from outside."""
        with MongoClient(self.settings().mongodb_address) as mongo:
            yield mongo[self.settings().mongodb_database]

    def redis(self) -> redis.Redis:
        """Its Redis, to be closed by the caller."""
        return redis.Redis.from_url(self.settings().redis_address)

    def settings(self) -> Settings:
        """Those of its processes, as far as they say where its stores are."""
        return Settings(
            port=self.port,
            data_dir=self.data_dir,
            mongodb_uri=self.environment.get("MONGODB_URI"),
            mongodb_database=self.environment.get("MONGODB_DATABASE", "vutler"),
            redis_url=self.environment.get("REDIS_URL"),
        )

    def agent(self, name: str, endpoint: str, api_key: str = "sk-test-0123456789", **config: Any) -> str:
        """An agent that talks to an OpenAI-compatible `endpoint`; its id."""
        made = self.http.post(
            f"{self.url}/agents",
            json={
                "name": name,
                "llm_config": {
                    "provider": "openai",
                    "model": "tiny",
                    "api_key": api_key,
                    "custom_endpoint": endpoint,
                    **config,
                },
            },
        )
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    def chat(self, agent: str, text: str, **headers: str) -> requests.Response:
        return self.http.post(f"{self.url}/agents/{agent}/chat", json={"message": text}, headers=headers)

    def job(self, job_id: str) -> dict[str, Any]:
        return dict(self.http.get(f"{self.url}/jobs/{job_id}").json())


def launching(without: Sequence[str]) -> list[str]:
    """What Python is told, to launch all programs but these."""
    return ["-c", FEWER, ",".join(without)] if without else ["-m", "core.embedded"]


def fewer(without: list[str]) -> int:
    """The launcher, which starts all programs but these; its exit code."""
    lines = (ROOT / "Procfile").read_text().splitlines()
    names = [line.partition(":")[0] for line in lines]
    assert set(without) <= set(names)
    return launcher.main(
        "\n".join(line for line, name in zip(lines, names, strict=True) if name not in without)
    )


class Shared:
    """A stack of several tests: started for the first of them, and `end`ed when no more will come."""

    def __init__(self, make: Callable[[], Stack]) -> None:
        self._make = make
        self._stack: Stack | None = None

    def running(self) -> Stack:
        if self._stack is None:
            self._stack = self._make()
            self._stack.start()
        return self._stack

    def end(self) -> None:
        if self._stack is not None:
            self._stack.stop()
            self._stack = None


class Patient(requests.Session):
    """Asks the stack directly, and waits for its answer however busy the machine is."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False

    def request(self, *args: Any, **more: Any) -> requests.Response:
        return super().request(*args, **{"timeout": LONG_S, **more})


def wait_for_port(port: int, *, what: str, alive: Callable[[], bool]) -> None:
    """Until something listens on 127.0.0.1:port."""

    def answers() -> bool:
        assert alive(), f"{what} ended while it started"
        with socket.socket() as probe:
            probe.settimeout(10)
            return probe.connect_ex(("127.0.0.1", port)) == 0

    until(answers, f"{what} answers on port {port}")


def free_ports(n: int = 4) -> int:
    """The first of `n` free ports in a row, kept from all other tests while this process lives.

    A block of ports belongs to who holds the UDP port of its first, in whatever checkout. All of them lie
    below the ports of outgoing connections.
    """
    for first in random.sample(range(*PORTS, BLOCK), 200):
        with contextlib.suppress(OSError), contextlib.ExitStack() as held:
            block = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            block.bind(("127.0.0.1", first))
            for port in range(first, first + n):
                socket.create_server(("127.0.0.1", port)).close()
            held.pop_all()
            HELD.append(block)
            return first
    raise AssertionError("no free ports")


def all_processes() -> list[tuple[int, int]]:
    """(pid, parent's pid) of everything that runs."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                found.append(
                    (int(entry.name), int((entry / "stat").read_text().rpartition(")")[2].split()[1]))
                )
    return found


def command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""
