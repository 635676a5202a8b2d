"""Stacks: what was used on each day, by model, agent, provider or key, for charts.

Days are those of UTC, as the roll-ups have them: read from there where days are closed, from the ledger where
not, so the time it takes follows the number of days. A period of few calls is read from the ledger alone, in
the days of any time zone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pymongo.database import Database

from core.metering import marks, recent, sums
from core.metering.periods import Period, stretches

Document = dict[str, Any]

FIELDS = {"model": "model", "agent": "agent_id", "provider": "provider", "key": "key_id"}
"""What a day can be cut by, and the field that says it."""


def by_date(
    db: Database[Document], workspace_id: str, dates: Iterable[str], by: str
) -> dict[str, dict[str, Document]]:
    """Sums by date and name; `by`: one of `FIELDS`."""
    # First of all: a day that is closed after this line is read from the ledger, which is as good.
    opened = {mark["date"]: mark for mark in marks.opened(db.usage_days, workspace_id)}
    asked = set(dates)
    closed = _closed(db, workspace_id, asked - set(opened), by)
    days = [mark for date, mark in opened.items() if date in asked]
    return _stacked([*closed, *recent.groups(db, days)], by)


def by_local_date(
    db: Database[Document], workspace_id: str, during: Period, by: str
) -> dict[str, dict[str, Document]]:
    """As `by_date`, in the period's own days. Its time follows the calls of closed days."""
    # First of all: a day that is closed after this line is read from the ledger, which is as good.
    opened = {mark["date"]: mark for mark in marks.opened(db.usage_days, workspace_id)}
    dates = {*during.whole_utc_dates(), *(date for date, *_ in during.edges())}
    found = list(recent.groups(db, [mark for date, mark in opened.items() if date in dates]))
    for first, last in stretches(dates - set(opened)):
        since, until = (
            recent.begins({"date": first, "quarter": 0}),
            recent.begins({"date": last, "quarter": 96}),
        )
        within = {"$gte": max(since, during.start), "$lt": min(until, during.end)}
        found += recent.of_ledger(db, {"workspace_id": workspace_id, "timestamp": within})
    asked = (row for row in found if during.start <= recent.begins(row) < during.end)
    rows = ({**row, "date": during.local_date(row["date"], row["quarter"])} for row in asked)
    return _stacked(rows, by)


def _stacked(rows: Iterable[Mapping[str, Any]], by: str) -> dict[str, dict[str, Document]]:
    found: dict[str, dict[str, Document]] = {}
    for row in rows:
        names = found.setdefault(row["date"], {})
        sums.add(names.setdefault(str(row[FIELDS[by]]), sums.nothing()), row)
    return found


def _closed(db: Database[Document], workspace_id: str, dates: set[str], by: str) -> Iterator[Document]:
    collection = db.usage_keys if by == "key" else db.usage_daily
    for first, last in stretches(dates):
        yield from collection.find({"workspace_id": workspace_id, "date": {"$gte": first, "$lte": last}})
