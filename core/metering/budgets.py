"""Budgets: a key's USD a day or month, held by one document for each key and period.

`used` is what was spent and what is held, so that one conditional write says whether a call still fits. An
estimate is held under the job's id before the job is accepted; entering its calls into the ledger turns it
into what was spent, once, since the hold goes in the same write. What a crash left behind is released by
looking at the job it names. Now and then what was spent is set from the ledger (`core.metering.true_up`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import structlog
from bson.decimal128 import Decimal128
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from core.clock import rfc3339, utcnow
from core.errors import Conflict
from core.jobs.document import Job, jobs_of
from core.jobs.model import DONE
from core.metering import true_up
from core.metering.budget import Budget, OverLimit
from core.metering.calls import calls_of
from core.metering.row import LedgerRow
from core.metering.sums import exact

Document = dict[str, Any]

TRIES = 5
SWEPT = 50
"""How many reservations a request that does not fit looks at, the oldest first; the tick looks at all."""
NEEDED = ("status", "attempt", "meter", "calls")
ABSENT_AFTER = timedelta(seconds=60)
"""A reservation is made just before its job is inserted; after this long the job will not come any more."""

log = structlog.get_logger(__name__)


def reserve(db: Database[Document], budget: Budget, job_id: str, estimate: Decimal) -> None:
    """Hold `estimate` for a job that is about to be accepted. Again for the same job: nothing changes.

    One write that fits or does not, so that many requests at once do not get in each other's way. Raises
    `OverLimit`, after a look at what crashed jobs may still hold.
    """
    swept = False
    for _ in range(TRIES):
        if _hold(db, budget, job_id, estimate):
            return
        state = _state(db, budget)
        if job_id in state["holds"]:
            return
        used = exact(state["used"])
        if used + estimate > budget.usd or used >= budget.usd:
            if not swept and release_stale(db, state, most=SWEPT):
                swept = True
                continue
            db.budgets.update_one({"_id": budget.name}, {"$set": {"refused": Decimal128(estimate)}})
            raise _over(budget, used, estimate)
    raise Conflict("this key's budget is asked for by many requests at once; try again")


def _hold(db: Database[Document], budget: Budget, job_id: str, estimate: Decimal) -> bool:
    fits: Document = {"$lte": Decimal128(budget.usd - estimate), "$lt": Decimal128(budget.usd)}
    room = {"_id": budget.name, "used": fits, f"holds.{job_id}": {"$exists": False}}
    hold = {"usd": Decimal128(estimate), "at": utcnow()}
    update: Document = {
        "$set": {f"holds.{job_id}": hold, "open": True},
        "$inc": {"used": Decimal128(estimate), "rev": 1},
        "$unset": {"refused": ""},
    }
    return db.budgets.update_one(room, update).matched_count == 1


def release(db: Database[Document], budget: Budget, job_id: str) -> None:
    """Give back what was reserved for a job that was not accepted after all."""
    state = _state(db, budget)
    if job_id in state["holds"]:
        _settle_one(db, state, job_id, Decimal(0))


def settle(db: Database[Document], jobs: Iterable[Mapping[str, Any]], rows: Iterable[LedgerRow]) -> int:
    """Turn the reservations of jobs that are done into what their `rows` in the ledger cost; how many."""
    done = {job["_id"]: job["created_by"] for job in jobs if job["status"] in DONE}
    if not done:
        return 0
    spent: dict[str, Decimal] = {}
    for row in rows:
        if row["kept"]:
            spent[row["job_id"]] = spent.get(row["job_id"], Decimal(0)) + exact(row["cost"])
    settled = 0
    for state in db.budgets.find({"open": True, "key_id": {"$in": sorted(set(done.values()))}}):
        for job_id in state["holds"].keys() & done.keys():
            settled += _settle_one(db, state, job_id, spent.get(job_id, Decimal(0)))
    return settled


def release_stale(db: Database[Document], state: Mapping[str, Any], *, most: int | None = None) -> int:
    """Settle the reservations whose job is done and entered, release those whose job never came; how many."""
    released = 0
    for job_id, hold in list(state["holds"].items())[:most]:
        job = jobs_of(db).find_one({"_id": job_id}, dict.fromkeys(NEEDED, 1))
        if job is None:
            if utcnow() - hold["at"] > ABSENT_AFTER:
                released += _settle_one(db, state, job_id, Decimal(0))
        elif job["status"] in DONE and (job.get("meter") != "due" or not job["calls"]):
            released += _settle_one(db, state, job_id, _entered(db, job))
    return released


def tick(db: Database[Document]) -> Document:
    """Release what crashed jobs hold; what was done, by name."""
    return {"released": sum(release_stale(db, state) for state in list(db.budgets.find({"open": True})))}


def used(db: Database[Document], budget: Budget) -> Document:
    """A budget as the API shows it: the limit, what was spent, what is held for jobs under way."""
    state = _state(db, budget)
    spent, used = exact(state["spent"]), exact(state["used"])
    return {
        "limit_usd": float(budget.usd),
        "spent_usd": float(spent),
        "reserved_usd": float(used - spent),
        "left_usd": float(max(budget.usd - used, Decimal(0))),
        "resets_at": rfc3339(budget.resets_at),
    }


def used_up(db: Database[Document], budget: Budget) -> bool:
    """Is nothing left, or less than the last call would have needed, which was refused?"""
    state = _state(db, budget)
    used = exact(state["used"])
    return used >= budget.usd or used + exact(state.get("refused")) > budget.usd


def _state(db: Database[Document], budget: Budget) -> Document:
    """The budget's document; made once, with what the ledger knows of the period so far."""
    state = db.budgets.find_one({"_id": budget.name})
    if state is not None:
        return state
    spent = Decimal128(true_up.spent_of(db, budget))
    born: Document = {
        "_id": budget.name,
        "key_id": budget.key_id,
        "workspace_id": budget.workspace_id,
        "period": budget.period,
        "spent": spent,
        "used": spent,
        "holds": {},
        "rev": 0,
        "open": True,
    }
    try:
        db.budgets.insert_one(born)
    except DuplicateKeyError:  # another request made it: one of the two counts
        log.debug("budget.made_twice", budget=budget.name)
    return db.budgets.find_one({"_id": budget.name}) or born


def _settle_one(db: Database[Document], state: Mapping[str, Any], job_id: str, cost: Decimal) -> bool:
    """In one write, so once: without the reservation nothing is added."""
    held = state["holds"][job_id]["usd"]
    there = {"_id": state["_id"], f"holds.{job_id}.usd": held}
    changes = {"spent": Decimal128(cost), "used": Decimal128(cost - exact(held)), "rev": 1}
    update: Document = {"$unset": {f"holds.{job_id}": ""}, "$inc": changes}
    return db.budgets.update_one(there, update).modified_count == 1


def _entered(db: Database[Document], job: Job) -> Decimal:
    names = [name for name, _, kept in calls_of(job) if kept]
    rows = (db.token_usage.find_one({"_id": name}, {"cost": 1}) for name in names)
    return sum((exact(row["cost"]) for row in rows if row is not None), Decimal(0))


def _over(budget: Budget, used: Decimal, estimate: Decimal) -> OverLimit:
    return OverLimit(
        f"this key may spend {budget.usd} USD until {rfc3339(budget.resets_at)}; {used} USD are used or "
        f"reserved, and this call may cost {estimate} USD",
        limit=float(budget.usd),
        used=float(used),
        unit="usd",
        resets_at=budget.resets_at,
    )
