"""Recheck: may a call still be made that was accepted under a budget? Asked before each call of such a job.

A job may wait for days: by then another price, another day may hold. So the call is priced once more, and
held on the day on which it begins, together with what the job has spent on that day already.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from pymongo.database import Database

from core.jobs.document import Job
from core.llm.records import Call
from core.metering import budgets
from core.metering import prices as price_tables
from core.metering.admission import known
from core.metering.budget import at
from core.metering.estimate import cost, most
from core.metering.prices import Prices
from core.metering.sums import exact

Document = dict[str, Any]


def before_call(
    db: Database[Document],
    prices: Prices,
    job: Job,
    call: Call,
    earlier: Iterable[Call],
    *,
    keyed: bool,
    unknown_window: int,
) -> None:
    """Hold what the call may cost, unless the job does so already. For a job without a budget: nothing.

    What it holds is asked for once more where the budget was changed.

    `call`: the record of it, with the moment at which it begins; `earlier`: all that this job has made.
    `keyed`: a key goes with it. `unknown_window`: see `core.metering.estimate`. Raises `OverLimit` when it
    does not fit any more, and `Invalid` when nobody knows the price any more.
    """
    of = job["plan"].get("budget")
    if of is None:
        return
    own = price_tables.of_workspace(db, job["workspace_id"])
    usage = of.get("most") or most(job["plan"], job["request"] or {}, unknown_window=unknown_window)
    needed = known(call, usage, cost({**call, "keyed": keyed}, usage, prices, own))
    days = set()
    workspace_id = None if of["all"] else job["workspace_id"]
    budget = at(job["created_by"], Decimal(of["usd"]), of["per"], call["started_at"], workspace_id)
    for made in earlier:
        if made.get("usage") is not None:
            date = f"{made['started_at']:%Y-%m-%d}"
            days.add(date)
            needed += exact(prices.of(made, own).cost) if date == budget.at else Decimal(0)
    hold = job.get("holds", {}).get(budget.month)
    if hold is None or exact(hold["days"].get(budget.at)) < needed:
        job["holds"] = dict(
            budgets.hold_at_least(db, budget, job["_id"], needed, keep=days, now=call["started_at"])
        )
    elif of.get("changed"):
        budgets.check(db, budget, needed)
