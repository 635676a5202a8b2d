"""The weeks before the demo's day: rows of the ledger and hours of the history, each standing for many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from bson.decimal128 import Decimal128

from core.demo.day import Day
from core.demo.people import WORKSPACE
from core.history import batches, points
from core.history.documents import Point
from core.jobs.document import Job
from core.metering import ledger
from core.metering.row import LedgerRow

DAYS, DRAWN_A_DAY = 60, 50
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
WEEKEND, STANDS_FOR = 20, 75
"""How many jobs each that is drawn stands for."""
TIERS_TOKENS = 2_300_000
"""What the managed tier uses in a month: more than it allows."""


def rows(day: Day, now: datetime) -> list[LedgerRow]:
    """The ledger's rows of the weeks before today."""
    return [row for ago in range(1, DAYS) for row in _of_day(day, now - ago * DAY)]


def hours(day: Day, now: datetime, days: int = 30) -> dict[tuple[str, datetime], Point]:
    """The history's hours of the weeks before today, by workspace and time."""
    found = {}
    for ago in range(1, days):
        by_hour: dict[datetime, list[Job]] = {}
        for job in day.ended(now - ago * DAY, DRAWN_A_DAY):
            at = job["finished_at"] or job["created_at"]
            by_hour.setdefault(at.replace(minute=0, second=0, microsecond=0), []).append(job)
        for at, jobs in by_hour.items():
            found[WORKSPACE, at] = _scaled(_point(at, jobs), _stands_for(at))
    return found


def _of_day(day: Day, until: datetime) -> Iterable[LedgerRow]:
    for job in day.ended(until, DRAWN_A_DAY):
        for row in ledger.rows_of(job, day.prices):
            yield _many(row, _stands_for(until))


def _many(row: LedgerRow, n: int) -> LedgerRow:
    """A row that stands for many; of the managed tier, so that a month uses a little more than it may."""
    if row["tier"] != ledger.OWN_KEY:
        n = max(1, TIERS_TOKENS // 30 // 2 // max(row["tokens_total"], 1))
    known: Mapping[str, Any] = row
    counts = {name: value * n for name, value in known.items() if name.startswith(("tokens_", "requests"))}
    cost = row["cost"] and Decimal128(row["cost"].to_decimal() * n)
    many: Any = {**row, **counts, "cost": cost}
    found: LedgerRow = many
    return found


def _point(at: datetime, jobs: list[Job]) -> Point:
    known = points.of_jobs(at, [batches.fact(job, job["finished_at"] or at) for job in jobs])
    return {**known, "accepted": len(jobs)}


def _scaled(value: Any, n: int) -> Any:
    """All counts, in lists and sketches too, so many times."""
    if isinstance(value, int):
        return value * n
    if isinstance(value, Mapping):
        return {name: _scaled(part, n) for name, part in value.items()}
    return [_scaled(part, n) for part in value] if isinstance(value, list) else value


def _stands_for(at: datetime) -> int:
    return WEEKEND if at.weekday() >= 5 else STANDS_FOR - at.day % 7 * 4
