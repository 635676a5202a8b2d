"""How long usage reads take as the ledger grows: 12 months, 10,000 rows against 50,000; at most 1.5 times.

    python -m bench.usage_reads                      the embedded server, started for the purpose
    MONGODB_URI=mongodb://… python -m bench.usage_reads 10000 50000 1000000

Closed days come from roll-ups, only today from the ledger. The database `vutler_bench` is made and dropped.
The exit code is 1 when a year's summary, or an agent's year, takes more than 1.5 times as long with the most
rows as with the fewest. In another time zone than UTC a read grows until each quarter of an hour was used.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

from bench.choices import asked_for_help
from core.clock import utcnow
from core.embedded import stores
from core.ids import new_id
from core.metering import ledger, marks, reports, rollups
from core.metering.periods import period
from core.metering.prices import Prices
from core.store import indexes
from tests import given
from tests.stack import free_ports, wait_for_port

Document = dict[str, Any]

AGENTS, MODELS = 5, ("gpt-4o-mini", "gpt-4o")
MOST_RATIO = 1.5
HELD = ("summary, 12 months", "agent, 12 months")
TODAY = 50
DAYS = 365
TIMES = 7


def main(sizes: list[int]) -> int:
    with server() as uri:
        client: MongoClient[Document] = MongoClient(uri, tz_aware=True)
        db = client["vutler_bench"]
        client.drop_database(db)
        indexes.ensure(db)
        results = []
        there = 0
        for size in sizes:
            fill(db, size - there, first=there == 0)
            there = size
            started = time.monotonic()
            while rollups.tick(db)["days"]:
                pass
            print(f"{size:>9} rows, rolled up in {time.monotonic() - started:.1f} s")
            results.append(measure(db))
            for name, ms in results[-1].items():
                print(f"{'':>9} {name:<28} {ms:8.1f} ms")
        client.drop_database(db)
    ratios = {name: results[-1][name] / results[0][name] for name in results[0]}
    print(f"ratio of the last to the first; at most {MOST_RATIO} for {' and '.join(HELD)}:")
    for name, ratio in ratios.items():
        print(f"{'':>9} {name:<28} {ratio:8.2f}")
    return int(max(ratios[name] for name in HELD) > MOST_RATIO)


def measure(db: Database[Document]) -> dict[str, float]:
    """Milliseconds at the median."""
    now, prices = utcnow(), Prices()
    year = {"first": (now - timedelta(days=DAYS - 1)).date(), "last": now.date()}
    agent = {"_id": "a1", "workspace_id": "w1", "llm_config": None}
    reads: dict[str, Callable[[], Any]] = {
        "summary, 12 months": lambda: reports.summary(db, "w1", period(now, **year)),
        "agent, 12 months": lambda: reports.agent(db, agent, period(now, **year), {}, now, prices),
        "summary, 12 months, Tokyo": lambda: reports.summary(
            db, "w1", period(now, zone_name="Asia/Tokyo", **year)
        ),
        "summary, this month": lambda: reports.summary(db, "w1", period(now)),
    }
    return {name: took(read) for name, read in reads.items()}


def took(read: Callable[[], Any]) -> float:
    times = []
    for _ in range(TIMES):
        started = time.perf_counter()
        read()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def fill(db: Database[Document], n: int, *, first: bool) -> None:
    """Rows over a year, and the same few today: what is open does not grow with the ledger."""
    prices, now = Prices(), utcnow()
    dice = random.Random(n)
    if first:
        db.workspaces.insert_one({"_id": "w1"})
    rows: list[Document] = []
    for i in range(n):
        ago = timedelta(days=1 + i * (DAYS - 1) // n, seconds=dice.randrange(86_400))
        at = now - (timedelta(seconds=dice.randrange(60)) if first and i < TODAY else ago)
        rows.append(row(prices, at, dice))
        if len(rows) == 1000 or i == n - 1:
            ledger.insert(db, rows)
            marks.raise_for(db, rows)
            rows = []


def row(prices: Prices, at: datetime, dice: random.Random) -> Document:
    asked, said = dice.randrange(1, 2000), dice.randrange(1, 500)
    call: Document = {
        "n": 0,
        "attempt": 1,
        "provider": "openai",
        "model": dice.choice(MODELS),
        "key_kind": "byokey",
        "outcome": "ok",
        "started_at": at,
        "latency_ms": 800,
        "usage": {"tokens_input": asked, "tokens_output": said, "tokens_total": asked + said},
    }
    job = {
        "_id": new_id(),
        "workspace_id": "w1",
        "agent_id": f"a{dice.randrange(AGENTS)}",
        "created_by": "k1",
        "kind": "chat",
    }
    return ledger.row(job, call, prices.of(call), kept=True)


@contextmanager
def server() -> Iterator[str]:
    """The server to measure: the one that was named, or an embedded one of its own."""
    if uri := given.mongodb():
        yield uri
        return
    port = free_ports(1)
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:
        process = subprocess.Popen(stores.mongodb(port, Path(folder)), stdout=nowhere, stderr=nowhere)
        try:
            wait_for_port(port, what="mongodb", alive=lambda: process.poll() is None)
            yield stores.mongodb_uri(port)
        finally:
            process.kill()
            process.wait()


if __name__ == "__main__":
    if not asked_for_help(__doc__, sys.argv[1:]):
        sys.exit(main([int(size) for size in sys.argv[1:]] or [10_000, 50_000]))
