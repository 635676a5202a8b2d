"""True-up: what keys have spent is set from the ledger, so that corrections count and nothing drifts.

Closed days come from roll-ups, open ones from the ledger, in one read for all keys of a workspace. A budget
that changes meanwhile is left for the next time: it is exact anyway, since entering calls changes it too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from bson.decimal128 import Decimal128
from pymongo.database import Database

from core.clock import utcnow
from core.metering.budget import Budget, dates_within
from core.metering.sums import exact

Document = dict[str, Any]
Opened = Mapping[str, Collection[str]]
"""The dates that are not rolled up yet, by workspace."""


def tick(db: Database[Document], now: datetime | None = None) -> Document:
    """Set what was spent of every open budget; what was done, by name."""
    today = f"{(now or utcnow()):%Y-%m-%d}"
    by_workspace: dict[str | None, list[Document]] = {}
    for state in db.budgets.find({"open": True}):
        by_workspace.setdefault(state["workspace_id"], []).append(state)
    return {"corrected": sum(_workspace(db, name, found, today) for name, found in by_workspace.items())}


def spent_of(db: Database[Document], budget: Budget) -> Decimal:
    """What a key has spent in a budget's period, as the ledger knows it."""
    opened = open_dates(db, budget.workspace_id)
    recent = _open_days(db, [budget.key_id], budget.dates(), opened)
    return _closed_days(db, budget.key_id, budget.dates(), opened) + sum(recent.values(), Decimal(0))


def _workspace(db: Database[Document], workspace_id: str | None, states: list[Document], today: str) -> int:
    """Jobs that hold something are left out: they will be settled."""
    opened = open_dates(db, workspace_id)
    keys = [state["key_id"] for state in states]
    dates = [date for state in states for date in dates_within(state["period"])]
    held = [job_id for state in states for job_id in state["holds"]]
    recent = _open_days(db, keys, dates, opened, without=held)
    corrected = 0
    for state in states:
        dates = dates_within(state["period"])
        spent = _closed_days(db, state["key_id"], dates, opened)
        spent += sum((recent.get((state["key_id"], date), Decimal(0)) for date in dates), Decimal(0))
        corrected += _set(db, state, spent, over=state["period"] < today[: len(state["period"])])
    return corrected


def _set(db: Database[Document], state: Mapping[str, Any], spent: Decimal, *, over: bool) -> bool:
    held = sum((exact(hold["usd"]) for hold in state["holds"].values()), Decimal(0))
    wanted = (spent, spent + held, bool(state["holds"]) or not over)
    if wanted == (exact(state["spent"]), exact(state["used"]), state["open"]):
        return False
    changes = {"spent": Decimal128(wanted[0]), "used": Decimal128(wanted[1]), "open": wanted[2]}
    unchanged = {"_id": state["_id"], "rev": state["rev"]}
    return db.budgets.update_one(unchanged, {"$set": changes, "$inc": {"rev": 1}}).modified_count == 1


def open_dates(db: Database[Document], workspace_id: str | None) -> Opened:
    """Of a workspace, or, for an admin's key, of all."""
    wanted: Document = {"open": True} | ({"workspace_id": workspace_id} if workspace_id else {})
    opened: dict[str, set[str]] = {}
    for mark in db.usage_days.find(wanted):
        opened.setdefault(mark["workspace_id"], set()).add(mark["date"])
    return opened


def _open_days(
    db: Database[Document],
    keys: Iterable[str],
    dates: Iterable[str],
    opened: Opened,
    *,
    without: Iterable[str] = (),
) -> dict[tuple[str, str], Decimal]:
    """By key and date."""
    among = {"key_id": {"$in": sorted(set(keys))}, "kept": True, "job_id": {"$nin": list(without)}}
    total = {"_id": {"key": "$key_id", "date": "$date"}, "cost": {"$sum": "$cost"}}
    spent: dict[tuple[str, str], Decimal] = {}
    for workspace_id, days in opened.items():
        indexed = {"workspace_id": workspace_id, "date": {"$in": sorted(set(days) & set(dates))}}
        for row in db.token_usage.aggregate([{"$match": indexed}, {"$match": among}, {"$group": total}]):
            of = (row["_id"]["key"], row["_id"]["date"])
            spent[of] = spent.get(of, Decimal(0)) + exact(row["cost"])
    return spent


def _closed_days(db: Database[Document], key_id: str, dates: list[str], opened: Opened) -> Decimal:
    days = db.usage_keys.find({"key_id": key_id, "date": {"$in": dates}})
    closed = (day for day in days if day["date"] not in opened.get(day["workspace_id"], ()))
    return sum((exact(day["cost"]) for day in closed), Decimal(0))
