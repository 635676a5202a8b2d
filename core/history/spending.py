"""What a workspace spent by date: of days that are over what the ledger came to, of today what charts know.

So it costs the same with any number of jobs: today's ledger, which may be long, is not read.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from core.history.reading import History
from core.metering.sums import exact


def by_date(history: History, first: date) -> dict[date, Decimal]:
    """USD by date (UTC) from `first` to today; a date on which nothing was used is missing. Of the history's
    points, `cost` is read."""
    today = history.now.date()
    within = {"workspace_id": history.workspace_id, "date": {"$gte": str(first), "$lte": str(today)}}
    found, uncounted = {}, {today}
    for day in history.db.usage_days.find(within, {"date": 1, "totals.cost": 1}):
        at = date.fromisoformat(day["date"])
        if "totals" in day and at < today:
            found[at] = exact(day["totals"]["cost"])
        else:
            uncounted.add(at)
    return found | {at: _of_charts(history, at) for at in uncounted}


def _of_charts(history: History, at: date) -> Decimal:
    """A day that the ledger has not been added up for: today, or yesterday for a minute or so."""
    begins = datetime.combine(at, time.min, UTC)
    points = history.hours((history.now.date() - at).days + 1)
    of_day = (point for point in points if begins <= point["at"] < begins + timedelta(days=1))
    return sum((exact(point["cost"]) for point in of_day if "cost" in point), Decimal(0))
