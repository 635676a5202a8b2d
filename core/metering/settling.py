"""Settling: what a job held becomes what its calls cost, each on its own day, once its calls are entered."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from pymongo.database import Database

from core.jobs.document import jobs_of
from core.jobs.model import DONE
from core.jobs.places import DUE
from core.metering import intents
from core.metering.budget import month_of
from core.metering.holders import Holder, holding
from core.metering.intents import Change
from core.metering.row import LedgerRow
from core.metering.sums import exact

Document = dict[str, Any]
Costs = dict[str, dict[str, Decimal]]
"""USD by job and date."""

NEEDED = ("status", "created_by", "holds", "calls.n")
AT_ONCE = 50
"""Changes in one write: they stand in the budget until their jobs say so, and each write rewrites it."""
TRIES = 3
LOOKED_AT = 200
"""How many jobs that wait to be entered a request looks at, if it does not fit."""


def settle(db: Database[Document], jobs: Iterable[Holder], rows: Iterable[LedgerRow]) -> set[str]:
    """Turn what jobs that are done hold into what their `rows` in the ledger cost.

    The ids of those that others have changed all the while: they are still to be settled.
    """
    costs = _costs(rows)
    left = [job for job in jobs if job["status"] in DONE and holding(job)]
    for _ in range(TRIES):
        carried_out = [_settle(db, *of, changes) for of, changes in _by_budget(left, costs).items()]
        if all(carried_out):
            return set()
        again = jobs_of(db).find({"_id": {"$in": [job["_id"] for job in left]}}, dict.fromkeys(NEEDED, 1))
        left = [job for job in again if holding(job)]
    return {job["_id"] for job in left}


def without_calls(db: Database[Document], key_id: str) -> int:
    """Settle a key's jobs that have ended without a call, which the ledger has not come to; how many."""
    due = jobs_of(db).find({"meter": DUE}, dict.fromkeys(NEEDED, 1)).limit(LOOKED_AT)
    mine = (job for job in due if job["created_by"] == key_id and job["status"] in DONE)
    found = [job for job in mine if not job["calls"] and holding(job)]
    return len(found) - len(settle(db, found, []))


def _costs(rows: Iterable[LedgerRow]) -> Costs:
    costs: Costs = {}
    for row in rows:
        if row["kept"]:
            of_job = costs.setdefault(row["job_id"], {})
            of_job[row["date"]] = of_job.get(row["date"], Decimal(0)) + exact(row["cost"])
    return costs


def _by_budget(jobs: Iterable[Holder], costs: Costs) -> dict[tuple[str, str], list[Change]]:
    """The changes that settle these jobs, by the budget's name and month."""
    found: dict[tuple[str, str], list[Change]] = {}
    for job in jobs:
        for month in holding(job):
            spent = {d: usd for d, usd in costs.get(job["_id"], {}).items() if month_of(d) == month}
            change = Change(job["_id"], job["holds"][month], {}, spent)
            found.setdefault((f"{job['created_by']}:{month}", month), []).append(change)
    return found


def _settle(db: Database[Document], name: str, month: str, changes: list[Change]) -> bool:
    """False: others have changed some of these jobs meanwhile."""
    whole = True
    for first in range(0, len(changes), AT_ONCE):
        part = changes[first : first + AT_ONCE]
        if intents.overtaken(db, name, part):
            return False
        intents.place(db, name, part)
        if intents.commit(db, month, part):
            intents.clear(db, name, [change.nonce for change in part])
        else:
            whole = False
            intents.resolve(db, db.budgets.find_one({"_id": name}) or {"pending": {}})
    return whole
