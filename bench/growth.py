"""What a job costs beside ever more jobs and ledger rows: `python -m bench.growth [1000 20000 50000]`.

Accept, claim, finish, the newest page, a year's summary: medians in ms, on the embedded server or on that
of `MONGODB_URI`. Each size has a database of its own, with as many rows in the ledger; asked in turn.
The exit code is 1 when something takes more than 1.5 times as long beside the most as beside the fewest.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

from bench import lists, usage_reads
from bench.choices import asked_for_help
from core.clock import utcnow
from core.jobs import queries
from core.jobs.accept import accept
from core.jobs.claim import claim, finish
from core.metering import reports, rollups
from core.metering.periods import period
from core.services import Document
from core.store import indexes
from tests.factory import CALL, draft
from tests.given import new_database

SIZES = (1000, 20_000, 50_000)
ROUNDS, EACH = 10, 20
MOST_RATIO = 1.5
MONTH_S = 30 * 86_400


def main(sizes: list[int]) -> int:
    with usage_reads.server() as uri, MongoClient[Document](uri, tz_aware=True, w=1, journal=True) as client:
        beside = {size: client[new_database()] for size in sizes}
        try:
            for size, db in beside.items():
                fill(db, size)
            return show(measure(beside))
        finally:
            for db in beside.values():
                client.drop_database(db)


def fill(db: Database[Document], size: int) -> None:
    """Jobs that ended over a month, and rows of the ledger over a year, rolled up."""
    started = time.monotonic()
    indexes.ensure(db)
    made = lists.jobs(size, 1, "finished", MONTH_S, 0)
    while some := list(itertools.islice(made, 1000)):
        db.jobs.insert_many([{**job, "workspace_id": "w1"} for job in some], ordered=False)
    usage_reads.fill(db, size, first=True)
    while rollups.tick(db)["days"]:
        pass
    print(f"{size:>9} jobs and rows, stored in {time.monotonic() - started:.0f} s", flush=True)


def measure(beside: dict[int, Database[Document]]) -> dict[str, dict[int, float]]:
    """By what was done, and beside how many: milliseconds at the median."""
    took: dict[str, dict[int, list[float]]] = {}
    for _ in range(ROUNDS):
        for size, db in beside.items():
            for name, ms in once(db):
                took.setdefault(name, {}).setdefault(size, []).append(ms)
    return {name: {size: statistics.median(ms) for size, ms in sizes.items()} for name, sizes in took.items()}


def once(db: Database[Document]) -> list[tuple[str, float]]:
    """Some jobs from their acceptance to their end, and what is read of all of them."""
    found = []

    def timed(name: str, act: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        done = act()
        found.append((name, (time.perf_counter() - started) * 1000))
        return done

    for _ in range(EACH):
        job, _ = timed("accept", lambda: accept(db, lambda job: None, draft()))
        mine = timed("claim", lambda job=job: claim(db, job["_id"], "p1"))
        call = {**CALL, "attempt": 1, "started_at": utcnow()}
        timed(
            "finish",
            lambda mine=mine, call=call: finish(db, mine, status="succeeded", calls=[call], result={}),
        )
    now = utcnow()
    year = {"first": (now - timedelta(days=usage_reads.DAYS - 1)).date(), "last": now.date()}
    timed("newest jobs", lambda: queries.page(db, "w1"))
    timed("newest that failed", lambda: queries.page(db, "w1", status="failed"))
    timed("a year's summary", lambda: reports.summary(db, "w1", period(now, **year)))
    return found


def show(medians: dict[str, dict[int, float]]) -> int:
    """The table; 1 if something grows."""
    grows = False
    for name, by_size in medians.items():
        first, *_, last = by_size.values()
        grows |= last / first > MOST_RATIO
        figures = "  ".join(f"{size:>9}: {ms:7.2f} ms" for size, ms in by_size.items())
        print(f"{name:<20} {figures}  {last / first:5.2f} times", flush=True)
    return int(grows)


if __name__ == "__main__":
    if not asked_for_help(__doc__, sys.argv[1:]):
        sys.exit(main([int(size) for size in sys.argv[1:]] or list(SIZES)))
