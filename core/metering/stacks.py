"""Stacks: what was used on each day, by model, agent, provider or key, for charts.

Days are those of UTC, as the roll-ups have them: read from there where days are closed, from the ledger where
not, so the time it takes follows the number of days. A period of few calls is read from the ledger alone, in
the days of any time zone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pymongo.database import Database

from core.metering import marks, recent, rollups, sums
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
    """As `by_date`, in the period's own days. The time it takes follows the number of calls."""
    edges = ((date, {"timestamp": {"$gte": begins, "$lt": ends}}) for date, begins, ends in during.edges())
    asked = [(date, None) for date in during.whole_utc_dates()] + [*edges]
    more: Document = {"date": "$date", "quarter": rollups.QUARTER, "key_id": "$key_id"}
    rows = []
    for date, among in asked:
        of_day = {"workspace_id": workspace_id, "date": date}
        for row in db.token_usage.aggregate(rollups.by_dimensions(of_day, among, **more)):
            day = during.local_date(date, int(row["_id"]["quarter"]))
            rows.append({**row, **row["_id"], "date": day})
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
