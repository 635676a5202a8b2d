"""What a key used: by day, in UTC, from the roll-ups where days are closed, from the ledger where not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo.database import Database

from core.metering import rollups, sums
from core.metering.periods import Period
from core.metering.spending import open_dates
from core.metering.usage import shown

Document = dict[str, Any]


def of_key(db: Database[Document], key_id: str, workspace_id: str | None, during: Period) -> Document:
    """A key's usage. `workspace_id`: the only one that it may act in; None: an admin's, which may in all."""
    by_date = {date: sums.nothing() for date in during.dates()}
    # First of all: a day that is closed after this line is read from the ledger, which is as good.
    open_days = open_dates(db, workspace_id)
    _add_closed(db, key_id, open_days, by_date)
    for workspace, dates in open_days.items():
        _add_open(db, key_id, workspace, [date for date in sorted(dates) if date in by_date], by_date)
    total = shown(sums.fold(by_date.values(), lambda _: None)[None])
    return {
        "key_id": key_id,
        "period": {"from": str(during.first), "to": str(during.last), "timezone": during.zone_name},
        **{name: total.pop(name) for name in ("requests", "cost", "cost_status")},
        "totals": total,
        "by_date": [{"date": date, **shown(found)} for date, found in by_date.items()],
    }


def _add_closed(
    db: Database[Document], key_id: str, open_days: Mapping[str, Any], by_date: dict[str, Document]
) -> None:
    dates = {"$gte": min(by_date), "$lte": max(by_date)}
    for day in db.usage_keys.find({"key_id": key_id, "date": dates}):
        if day["date"] not in open_days.get(day["workspace_id"], ()):
            sums.add(by_date[day["date"]], day)


def _add_open(
    db: Database[Document], key_id: str, workspace_id: str, dates: list[str], by_date: dict[str, Document]
) -> None:
    if not dates:
        return
    indexed = {"workspace_id": workspace_id, "date": {"$in": dates}}
    for found in db.token_usage.aggregate(rollups.by_dimensions(indexed, {"key_id": key_id}, date="$date")):
        sums.add(by_date[found["_id"]["date"]], found)
