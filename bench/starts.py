"""How soon a job begins, and what it costs, beside other task queues: `python -m bench.starts`.

Each on the same Valkey, or on a PostgreSQL of its own, one after another, in several rounds; medians of all.
`idle`: from the call that sends to the task, one at a time, with an idle worker. `flood`: microseconds for
each of many that are sent at once, until the last has begun. `--peers`: the interpreter of an environment
with dramatiq, celery, rq, procrastinate and dbos; `--postgres`: the folder of PostgreSQL's programs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import redis
from pymongo import MongoClient

from core.embedded import stores
from tests.stack import ROOT, free_ports
from tests.waiting import until

OURS, PEERS, POSTGRES = "ours", "peers", "postgres"


@dataclass(frozen=True)
class Contestant:
    """Its worker and its sender, as arguments of the interpreter it runs in."""

    name: str
    where: str
    worker: tuple[str, ...]
    sender: tuple[str, ...]


def _module(name: str, *more: str) -> tuple[str, ...]:
    return ("-m", f"bench.peers.{name}", *more)


CONTESTANTS = (
    Contestant("Vutler: its id, by a lane", OURS, _module("ours", "lane"), _module("ours", "lane")),
    Contestant("Vutler: a stored job, in a seat", OURS, _module("ours", "seat"), _module("ours", "seat")),
    Contestant(
        "Dramatiq",
        PEERS,
        ("-m", "dramatiq", "bench.peers.stock_dramatiq", "-p", "1"),
        _module("stock_dramatiq"),
    ),
    Contestant(
        "Celery, threads",
        PEERS,
        ("-m", "celery", "-A", "bench.peers.celery_threads", "worker", "-P", "threads", "-l", "ERROR"),
        _module("celery_threads"),
    ),
    Contestant("RQ", PEERS, ("-m", "rq.cli", "worker", "--quiet"), _module("simple_rq")),
    Contestant(
        "Procrastinate (PostgreSQL)",
        POSTGRES,
        _module("procrastinate_pg", "worker"),
        _module("procrastinate_pg"),
    ),
    Contestant("DBOS (PostgreSQL)", POSTGRES, _module("dbos_pg", "worker"), _module("dbos_pg")),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--peers", help="the interpreter of the peers' environment")
    parser.add_argument("--postgres", type=Path, help="the folder of initdb and pg_ctl")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--idle", type=int, default=60, help="tasks in a round, one at a time")
    parser.add_argument("--flood", type=int, default=1000, help="tasks in a round, at once")
    given = parser.parse_args()
    with contextlib.ExitStack() as on:
        environment = on.enter_context(_stores())
        if given.postgres:
            environment |= on.enter_context(_postgres(given.postgres))
        running = [one for one in CONTESTANTS if _there(one, given)]
        began: dict[str, list[float]] = {one.name: [] for one in running}
        floods: dict[str, list[float]] = {one.name: [] for one in running}
        for _ in range(given.rounds):
            for one in running:
                with _worker(one, given, environment):
                    began[one.name] += _asked(one, given, environment, "idle", given.idle)["began"]
                    seen = _asked(one, given, environment, "flood", given.flood)
                    floods[one.name].append(seen["seconds"] / seen["n"] * 1e6)
    for name, took in began.items():
        print(
            f"{name:<34} begins after {statistics.median(took):7.1f} ms at the median,"
            f" {sorted(took)[int(0.99 * len(took))]:7.1f} at p99;"
            f" {statistics.median(floods[name]):8.0f} us each of {given.flood} at once"
        )


def _there(one: Contestant, given: argparse.Namespace) -> bool:
    needs = {OURS: True, PEERS: given.peers, POSTGRES: given.peers and given.postgres}
    return bool(needs[one.where])


def _python(one: Contestant, given: argparse.Namespace) -> str:
    return sys.executable if one.where == OURS else str(given.peers)


@contextlib.contextmanager
def _worker(one: Contestant, given: argparse.Namespace, environment: dict[str, str]) -> Iterator[None]:
    redis.Redis.from_url(environment["REDIS_URL"]).flushall()
    with _process([_python(one, given), *one.worker], environment):
        time.sleep(5)  # they have no common way to say that they are ready
        yield


def _asked(
    one: Contestant, given: argparse.Namespace, environment: dict[str, str], what: str, n: int
) -> dict[str, object]:
    arguments = [_python(one, given), *one.sender, what, str(n)]
    told = subprocess.run(
        arguments, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300
    )
    if told.returncode:
        raise SystemExit(f"{one.name}: {told.stderr[-2000:]}")
    return json.loads(told.stdout.splitlines()[-1])


@contextlib.contextmanager
def _stores() -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as on:
        first, second = (free_ports(1) for _ in range(2))
        on.enter_context(_process(stores.valkey(first, Path(folder) / "valkey"), {}))
        on.enter_context(_process(stores.mongodb(second, Path(folder) / "mongodb"), {}))
        address = stores.mongodb_uri(second)
        until(lambda: _answers(f"redis://127.0.0.1:{first}", address), "the stores answer")
        yield {
            "REDIS_URL": f"redis://127.0.0.1:{first}",
            "MONGODB_URI": address,
            "DATA_DIR": str(Path(folder) / "data"),
        }


def _answers(redis_url: str, mongodb_uri: str) -> bool:
    with contextlib.suppress(redis.RedisError):
        return bool(redis.Redis.from_url(redis_url).ping()) and bool(
            MongoClient(mongodb_uri).admin.command("ping")
        )
    return False


@contextlib.contextmanager
def _postgres(programs: Path) -> Iterator[dict[str, str]]:
    """A cluster of its own. PostgreSQL does not run as root: then it is run as `postgres`."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_ports(1)
        as_whom = (
            ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if not os.getuid() else []
        )
        if as_whom:
            shutil.chown(folder, "postgres", "postgres")
        data = str(Path(folder) / "data")
        subprocess.run(
            [*as_whom, programs / "initdb", "-D", data, "-A", "trust", "-U", "postgres"],
            check=True,
            capture_output=True,
            cwd=folder,
        )
        server = [*as_whom, str(programs / "postgres"), "-D", data, "-p", str(port), "-k", folder]
        with _process([*server, "-c", "listen_addresses=127.0.0.1"], {}, cwd=folder):
            address = f"postgresql://postgres@127.0.0.1:{port}/postgres"
            until(lambda: _ready(programs, port), "PostgreSQL answers")
            yield {"POSTGRES": address}


def _ready(programs: Path, port: int) -> bool:
    asked = [programs / "pg_isready", "-h", "127.0.0.1", "-p", str(port)]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def _process(arguments: list[str], environment: dict[str, str], cwd: str | Path = ROOT) -> Iterator[None]:
    process = subprocess.Popen(
        arguments,
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
