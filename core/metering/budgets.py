"""Budgets: a key's USD a day or month, counted by one document for each key and month.

`used` is what was spent and what is held, by day and in all, so that one conditional write says whether a
call still fits, and costs the same with 1 and with 10,000 others open: what a job holds stands in the job. An
estimate is held before the job is accepted; entering its calls into the ledger turns it into what was spent,
each on the day of its call (`core.metering.settling`). What a crash left half done is brought to its end by
looking at the job (`core.metering.intents`). Now and then all of it is set from the ledger and the jobs
(`core.metering.true_up`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import structlog
from bson.decimal128 import Decimal128
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from core.clock import rfc3339, utcnow
from core.errors import Conflict
from core.jobs.document import Hold, jobs_of
from core.jobs.model import RUNNING
from core.metering import holders, intents, settling, spending
from core.metering.budget import Budget, OverLimit
from core.metering.intents import Change
from core.metering.periods import dates_of
from core.metering.sums import exact
from core.store import aside

Document = dict[str, Any]

TRIES = 5

NOTHING: Document = {"spent": Decimal128("0"), "used": Decimal128("0")}

log = structlog.get_logger(__name__)


def release(db: Database[Document], budget: Budget, change: Change) -> None:
    """Give back what was reserved for a job that was not accepted after all."""
    intents.take_back(db, budget.name, change.nonce, change.intent(utcnow()))


def hold_at_least(
    db: Database[Document],
    budget: Budget,
    job_id: str,
    needed: Decimal,
    *,
    keep: Collection[str] = (),
    now: datetime | None = None,
) -> Mapping[str, Hold]:
    """Let a running job hold `needed` on the budget's day, for a call that is about to begin; its holds then.

    What it holds on other days of the month goes, but on those in `keep`, where it has made calls. Raises
    `OverLimit`.
    """
    for _ in range(TRIES):
        job = jobs_of(db).find_one({"_id": job_id}, {"holds": 1, "status": 1})
        if job is None or job["status"] != RUNNING:
            return {}  # it belongs to nobody any more: its end was written meanwhile
        holds = job.get("holds", {})
        before = holds.get(budget.month)
        held = {} if before is None else {date: exact(usd) for date, usd in before["days"].items()}
        if held.get(budget.at, Decimal(0)) >= needed:
            return holds
        wanted = {date: usd for date, usd in held.items() if date in keep} | {budget.at: needed}
        change = Change(job_id, before, wanted)
        if intents.overtaken(db, budget.name, [change]):
            continue
        more = change.used[budget.at] if budget.counter else sum(change.used.values(), Decimal(0))
        if more > 0:
            place(db, budget, change, more, now)
        else:  # it moves to another day, or costs less: that needs no room
            intents.place(db, budget.name, [change], now=now)
        if intents.commit(db, budget.month, [change]):
            intents.clear(db, budget.name, [change.nonce])
            return {**holds, budget.month: change.hold}
        intents.resolve(db, _state(db, budget), now)
    raise Conflict("what this job holds is changed by several at once")


def tick(db: Database[Document], now: datetime | None = None) -> Document:
    """Bring to their end what crashes have left half done; what was done, by name."""
    opened = list(db.budgets.find({"open": True}))
    return {"released": sum(aside.each(db, "budgets", opened, lambda state: intents.resolve(db, state, now)))}


def used(db: Database[Document], budget: Budget) -> Document:
    """A budget as the API shows it: the limit, what was spent, what is held for jobs under way."""
    counted = counter(_state(db, budget), budget)
    spent, used = exact(counted["spent"]), exact(counted["used"])
    return {
        "limit_usd": float(budget.usd),
        "spent_usd": float(spent),
        "reserved_usd": float(used - spent),
        "left_usd": float(max(budget.usd - used, Decimal(0))),
        "resets_at": rfc3339(budget.resets_at),
    }


def used_up(db: Database[Document], budget: Budget) -> bool:
    """Is nothing left, or less than the last call would have needed, which was refused?

    One that needs more than all calls so far have used says nothing of the budget: it is too large for it.
    """
    state = _state(db, budget)
    used, refused = exact(counter(state, budget)["used"]), state.get("refused") or {}
    needed = exact(refused.get("usd")) if refused.get("period") == budget.period else Decimal(0)
    return used >= budget.usd or (used + needed > budget.usd and needed <= used)


def counter(state: Mapping[str, Any], budget: Budget) -> Mapping[str, Any]:
    """The part of a budget's document that counts its period: `spent` and `used`."""
    return {**NOTHING, **(state["days"].get(budget.period, {}) if budget.counter else state)}


def place(
    db: Database[Document],
    budget: Budget,
    change: Change,
    needed: Decimal,
    now: datetime | None = None,
) -> None:
    """Write a change that needs so much more of a budget. Raises `OverLimit` where it does not fit.

    One write that fits or does not, so that many requests at once do not get in each other's way; then a look
    at what crashed or cancelled jobs may still hold.
    """
    for _ in range(TRIES):
        if placed(db, budget, [change], needed, now):
            return
        state = _state(db, budget)
        used = exact(counter(state, budget)["used"])
        if used + needed > budget.usd or used >= budget.usd:
            if intents.resolve(db, state, now) or settling.without_calls(db, budget.key_id):
                continue
            refused = {"period": budget.period, "usd": Decimal128(needed)}
            db.budgets.update_one({"_id": budget.name}, {"$set": {"refused": refused}})
            raise _over(budget, used, needed)
    raise Conflict("this key's budget is asked for by many requests at once; try again")


def check(db: Database[Document], budget: Budget, needed: Decimal) -> None:
    """Raises `OverLimit` where more is spent and held than a budget has, which may have been lowered.

    `needed`: for a call that is about to begin, a part of what is held.
    """
    used = exact(counter(_state(db, budget), budget)["used"])
    if used > budget.usd:
        raise _over(budget, used, needed)


def placed(
    db: Database[Document],
    budget: Budget,
    changes: Sequence[Change],
    needed: Decimal,
    now: datetime | None,
    *,
    done: Collection[str] = (),
) -> bool:
    """Write changes that need so much more of a budget in all; False: they do not fit, or nobody has made it.

    `done`: intents that were committed, which are forgotten with it.
    """
    more, room = {"open": True, "refused": None}, _room(budget, needed)
    return intents.place(db, budget.name, changes, room=room, more=more, done=done, now=now)


def _room(budget: Budget, needed: Decimal) -> Document:
    """A day that nobody has counted is free. One that is used up takes nothing, not even what is free."""
    full = {"$gt": Decimal128(budget.usd - needed)} if needed else {"$gte": Decimal128(budget.usd)}
    return {f"{budget.counter}used": {"$not": full}}


def _state(db: Database[Document], budget: Budget) -> Document:
    """The budget's document; made once, with what the ledger knows of the month so far."""
    state = db.budgets.find_one({"_id": budget.name})
    if state is not None:
        return state
    born = _born(db, budget)
    try:
        db.budgets.insert_one(born)
    except DuplicateKeyError:  # another request made it: one of the two counts
        log.debug("budget.made_twice", budget=budget.name)
    return db.budgets.find_one({"_id": budget.name}) or born


def _born(db: Database[Document], budget: Budget) -> Document:
    """With what an earlier version, or nobody, has counted. Of the days only those that still matter."""
    dates, zero = dates_of(budget.month), Decimal(0)
    spent = spending.by_date(db, budget.key_id, budget.workspace_id, dates)
    found = holders.amounts([*holders.under_way(db), *holders.due(db).values()])
    held = found.get(budget.name, {})
    used = {date: spent.get(date, zero) + held.get(date, zero) for date in dates}
    counted = {
        date: {"spent": Decimal128(spent.get(date, zero)), "used": Decimal128(used[date])}
        for date in {*held, budget.at}
    }
    return {
        "_id": budget.name,
        "key_id": budget.key_id,
        "workspace_id": budget.workspace_id,
        "month": budget.month,
        "spent": Decimal128(sum(spent.values(), zero)),
        "used": Decimal128(sum(used.values(), zero)),
        "days": counted,
        "pending": {},
        "rev": 0,
        "moves": 0,
        "open": True,
    }


def _over(budget: Budget, used: Decimal, needed: Decimal) -> OverLimit:
    return OverLimit(
        f"this key may spend {budget.usd} USD until {rfc3339(budget.resets_at)}; {used} USD are used or "
        f"reserved, and this call may cost {needed} USD",
        limit=float(budget.usd),
        used=float(used),
        unit="usd",
        resets_at=budget.resets_at,
    )
