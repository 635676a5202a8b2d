"""True-up: what keys have spent and hold is set from the ledger and from the jobs, so that corrections count.

Nothing drifts: a budget that changes meanwhile is left for the next time, and is exact anyway, since entering
calls changes it too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from bson.decimal128 import Decimal128
from pymongo.database import Database

from core.clock import utcnow
from core.metering import holders, intents, spending
from core.metering.budget import month_of
from core.metering.holders import holding
from core.metering.periods import dates_of
from core.metering.sums import exact
from core.store import aside

Document = dict[str, Any]
Holders = dict[str, Document]
"""Jobs by id, as `core.metering.holders` finds them."""


def tick(db: Database[Document], now: datetime | None = None, *, key_id: str | None = None) -> Document:
    """Set every open budget, or those of one key; what was done, by name."""
    wanted = {"open": True} if key_id is None else {"open": True, "key_id": key_id}
    opened = list(db.budgets.find(wanted))
    sound = set(aside.each(db, holders.LOOP, opened, lambda state: _mended(db, state, now)))
    found = [state for state in db.budgets.find(wanted) if state["_id"] in sound]
    states = [state for state in found if not _half_settled(state)]
    by_workspace: dict[str | None, list[Document]] = {}
    for state in states:
        by_workspace.setdefault(state["workspace_id"], []).append(state)
    under_way = list(holders.under_way(db))
    due = holders.due(db)  # last, since a job only moves on to here
    held = holders.amounts([*under_way, *due.values()])
    today = f"{now or utcnow():%Y-%m-%d}"
    corrected = 0
    for workspace_id, of_workspace in by_workspace.items():
        spent = _spent(db, workspace_id, of_workspace, due)
        later = holders.due(db)
        quiet = [state for state in of_workspace if not _disturbed(state, due, later)]
        amounts = [(state, spent[state["_id"]], held.get(state["_id"], {})) for state in quiet]
        corrected += sum(
            aside.each(
                db, holders.LOOP, amounts, lambda of: _set(db, *of, today), name=lambda of: str(of[0]["_id"])
            )
        )
    return {"corrected": corrected}


def _mended(db: Database[Document], state: Document, now: datetime | None) -> str:
    """Bring its intents to their end; its name. Raises for one that cannot be set."""
    intents.resolve(db, state, now)
    dates_of(state["month"])
    names = (state["key_id"], state["workspace_id"] or "", str(state["rev"]), str(state["moves"]))
    counters = (state, *state["days"].values())  # a day in which nothing was spent yet does not say so
    amounts = [exact(counted.get(of)) for counted in counters for of in ("spent", "used")]
    if not all(isinstance(name, str) for name in names) or not all(map(Decimal.is_finite, amounts)):
        raise TypeError("a budget has names and amounts")
    return str(state["_id"])


def _half_settled(state: Mapping[str, Any]) -> bool:
    return any("spent" in intent for intent in state["pending"].values())


def _spent(
    db: Database[Document], workspace_id: str | None, states: list[Document], due: Holders
) -> dict[str, dict[str, Decimal]]:
    """USD by budget and date, without what is still to be settled."""
    wanted: dict[str, list[str]] = {}
    for state in states:
        wanted.setdefault(state["key_id"], []).extend(dates_of(state["month"]))
    unsettled = {job_id: job for job_id, job in due.items() if holding(job)}
    opened = {whose: set(dates) for whose, dates in spending.open_dates(db, workspace_id).items()}
    for job in unsettled.values():  # a day may have been closed with what they cost
        if workspace_id in (None, job["workspace_id"]):
            days = (job["holds"][month]["days"] for month in holding(job))
            opened.setdefault(job["workspace_id"], set()).update(*days)
    found = spending.of_keys(db, wanted, opened, without=unsettled)
    return {
        state["_id"]: {d: usd for d, usd in found[state["key_id"]].items() if month_of(d) == state["month"]}
        for state in states
    }


def _disturbed(state: Mapping[str, Any], due: Holders, later: Holders) -> bool:
    """Has a job of this key ended meanwhile, or is one settled in a month and not in another?"""
    mine = [job for job in due.values() if job["created_by"] == state["key_id"]]
    come = any(
        job["created_by"] == state["key_id"] and holding(job)
        for job_id, job in later.items()
        if job_id not in due
    )
    return come or any(0 < len(holding(job)) < len(job["holds"]) for job in mine)


def _set(
    db: Database[Document],
    state: Mapping[str, Any],
    spent: Mapping[str, Decimal],
    held: Mapping[str, Decimal],
    today: str,
) -> bool:
    """What is held only where nothing is on its way, and nothing was reserved or released meanwhile.

    Then a day that is over goes, if no job holds anything of it: nobody asks for it any more.
    """
    at_rest = not state["pending"]
    unchanged = {"_id": state["_id"], "rev": state["rev"]}
    if at_rest:
        days = {date for date in {*state["days"], *held, today} if date >= today or date in held}
        amounts = _amounts(state, days, spent, held)
        more: Document = {"$set": {"open": bool(held) or state["month"] >= month_of(today)}}
        if gone := {f"days.{date}": "" for date in state["days"] if date not in days}:
            more["$unset"] = gone
        if _write(db, {**unchanged, "moves": state["moves"]}, amounts, more):
            return bool(amounts)
    amounts = _amounts(state, state["days"], spent, None)
    return bool(amounts) and _write(db, unchanged, amounts, {})


def _amounts(
    state: Mapping[str, Any],
    days: Iterable[str],
    spent: Mapping[str, Decimal],
    held: Mapping[str, Decimal] | None,
) -> dict[str, Decimal128]:
    """By how much each counter is wrong, by its path. `held`, None: nobody can say."""
    zero = Decimal(0)
    whole = (sum(spent.values(), zero), None if held is None else sum(held.values(), zero))
    wanted = {"": (state, *whole)}
    for date in days:
        counted = state["days"].get(date, {})
        of_day = None if held is None else held.get(date, zero)
        wanted[f"days.{date}."] = (counted, spent.get(date, zero), of_day)
    found: dict[str, Decimal] = {}
    for place, (counted, its_spent, its_held) in wanted.items():
        was = exact(counted.get("spent"))
        more = its_spent - was
        drift = zero if its_held is None else its_held - (exact(counted.get("used")) - was)
        found |= {f"{place}spent": more, f"{place}used": more + drift}
    return {path: Decimal128(usd) for path, usd in found.items() if usd}


def _write(
    db: Database[Document], unchanged: Document, amounts: Mapping[str, Decimal128], more: Document
) -> bool:
    update: Document = {"$inc": {**amounts, "rev": int(bool(amounts))}, **more}
    return db.budgets.update_one(unchanged, update).matched_count == 1
