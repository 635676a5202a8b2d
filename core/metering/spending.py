"""Spending: what a key has spent, by date, as the ledger knows it.

Closed days come from roll-ups, open ones from the ledger, in one read for all keys of a workspace.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import Any

from pymongo.database import Database

from core.metering.sums import exact

Document = dict[str, Any]
Opened = Mapping[str, Collection[str]]
"""The dates that are not rolled up yet, by workspace."""


def by_date(
    db: Database[Document], key_id: str, workspace_id: str | None, dates: Collection[str]
) -> dict[str, Decimal]:
    """What one key has spent. `workspace_id`: the only one it can spend in; None: it may in all."""
    opened = open_dates(db, workspace_id)
    return of_keys(db, {key_id: dates}, opened)[key_id]


def of_keys(
    db: Database[Document],
    wanted: Mapping[str, Collection[str]],
    opened: Opened,
    *,
    without: Iterable[str] = (),
) -> dict[str, dict[str, Decimal]]:
    """What each key has spent on its dates. Jobs that are named in `without` are left out of open days."""
    found: dict[str, dict[str, Decimal]] = {key_id: {} for key_id in wanted}
    for key_id, dates in wanted.items():
        for date, cost in _closed_days(db, key_id, dates, opened):
            found[key_id][date] = found[key_id].get(date, Decimal(0)) + cost
    for key_id, date, cost in _open_days(db, wanted, opened, without):
        if date in wanted[key_id]:
            found[key_id][date] = found[key_id].get(date, Decimal(0)) + cost
    return found


def open_dates(db: Database[Document], workspace_id: str | None) -> Opened:
    """Of a workspace, or, for an admin's key, of all."""
    wanted: Document = {"open": True} | ({"workspace_id": workspace_id} if workspace_id else {})
    opened: dict[str, set[str]] = {}
    for mark in db.usage_days.find(wanted):
        whose, date = mark.get("workspace_id"), mark.get("date")
        if isinstance(whose, str) and isinstance(date, str):  # others are put aside by the roll-ups
            opened.setdefault(whose, set()).add(date)
    return opened


def _closed_days(
    db: Database[Document], key_id: str, dates: Collection[str], opened: Opened
) -> Iterable[tuple[str, Decimal]]:
    for day in db.usage_keys.find({"key_id": key_id, "date": {"$in": sorted(dates)}}):
        if day["date"] not in opened.get(day["workspace_id"], ()):
            yield day["date"], exact(day["cost"])


def _open_days(
    db: Database[Document], wanted: Mapping[str, Collection[str]], opened: Opened, without: Iterable[str]
) -> Iterable[tuple[str, str, Decimal]]:
    dates = {date for some in wanted.values() for date in some}
    among = {"key_id": {"$in": sorted(wanted)}, "kept": True, "job_id": {"$nin": sorted(without)}}
    total = {"_id": {"key": "$key_id", "date": "$date"}, "cost": {"$sum": "$cost"}}
    for workspace_id, days in opened.items():
        indexed = {"workspace_id": workspace_id, "date": {"$in": sorted(dates & set(days))}}
        for row in db.token_usage.aggregate([{"$match": indexed}, {"$match": among}, {"$group": total}]):
            yield row["_id"]["key"], row["_id"]["date"], exact(row["cost"])
