"""What was spent by date: by the ledger's sums where a day is over, by the charts' points for the rest."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from bson.decimal128 import Decimal128

from core.history import spending
from core.history.reading import History

NOW = datetime(2026, 11, 3, 10, 30, tzinfo=UTC)


def closed(db, day, usd, **changes):
    of = {"workspace_id": "w1", "date": day, "totals": {"cost": Decimal128(usd)}, "open": False}
    db.usage_days.insert_one({**of, **changes})


def point(db, collection, at, usd, workspace_id="w1"):
    db[collection].insert_one({"workspace_id": workspace_id, "at": at, "cost": Decimal128(usd)})


def test_days_that_are_over_come_from_the_ledgers_sums_and_today_from_the_charts(db):
    closed(db, "2026-10-31", "1")
    closed(db, "2026-11-02", "2.5")
    closed(db, "2026-11-02", "9", workspace_id="w2")
    closed(db, "2026-11-03", "7")
    point(db, "history_hours", NOW.replace(day=2, hour=23, minute=0), "99")
    point(db, "history_hours", NOW.replace(hour=1, minute=0), "0.25")
    point(db, "history_minutes", NOW.replace(minute=29), "0.5")
    point(db, "history_minutes", NOW.replace(minute=29), "99", workspace_id="w2")
    found = spending.by_date(History(db, "w1", now=NOW), date(2026, 11, 1))
    assert found == {date(2026, 11, 2): Decimal("2.5"), date(2026, 11, 3): Decimal("0.75")}


def test_yesterday_comes_from_the_charts_until_the_ledger_was_added_up(db):
    db.usage_days.insert_one({"workspace_id": "w1", "date": "2026-11-02", "open": True})
    point(db, "history_hours", NOW.replace(day=2, hour=23, minute=0), "3")
    assert spending.by_date(History(db, "w1", now=NOW), date(2026, 11, 1))[date(2026, 11, 2)] == Decimal(3)


def test_a_workspace_that_used_nothing_spent_nothing(db):
    assert spending.by_date(History(db, "w1", now=NOW), date(2026, 11, 1)) == {date(2026, 11, 3): Decimal(0)}
