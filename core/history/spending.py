"""What a workspace spent by date: of days that are over what the ledger came to, of today what charts know.

So it costs the same with any number of jobs: today's ledger, which may be long, is not read.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from pymongo.database import Database

from core.history import reading
from core.metering.sums import exact

Document = dict[str, Any]


def by_date(db: Database[Document], workspace_id: str, first: date, now: datetime) -> dict[date, Decimal]:
    """USD by date (UTC) from `first` to today; a date on which nothing was used is missing."""
    within = {"workspace_id": workspace_id, "date": {"$gte": str(first), "$lte": str(now.date())}}
    found, uncounted = {}, {now.date()}
    for day in db.usage_days.find(within, {"date": 1, "totals.cost": 1}):
        at = date.fromisoformat(day["date"])
        if "totals" in day and at < now.date():
            found[at] = exact(day["totals"]["cost"])
        else:
            uncounted.add(at)
    return found | {at: _of_charts(db, workspace_id, at, now) for at in uncounted}


def _of_charts(db: Database[Document], workspace_id: str, at: date, now: datetime) -> Decimal:
    """A day that the ledger has not been added up for: today, or yesterday for a minute or so."""
    begins = datetime.combine(at, time.min, UTC)
    points = reading.hours(db, workspace_id, days=(now.date() - at).days + 1, now=now)
    of_day = (point for point in points if begins <= point["at"] < begins + timedelta(days=1))
    return sum((exact(point["cost"]) for point in of_day if "cost" in point), Decimal(0))
