"""A new budget of a key holds for what the key has under way, too: for each call that begins from then on.

What was accepted under another budget, or under none, has its new one in its plan, where
`core.metering.recheck` looks before each call. And it holds something from now on, be it nothing yet: so
what it costs counts when its calls are entered. What was entered while nobody counted is summed up at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from bson.decimal128 import Decimal128
from pymongo.database import Database

from core.accounts.keys import caller_of
from core.documents import Key
from core.ids import new_mark
from core.jobs import kinds
from core.jobs.document import jobs_of
from core.jobs.model import QUEUED, RUNNING
from core.metering import true_up
from core.metering.budget import Budget, of_key

Document = dict[str, Any]

AT_ONCE = 50
UNDER_WAY = (QUEUED, RUNNING)


def hold(db: Database[Document], before: Key, key: Key, now: datetime) -> None:
    """Let the budget of `key` hold, which was changed, and was as `before` until then."""
    budget = of_key(caller_of(key), now)
    if budget == of_key(caller_of(before), now):
        return
    changes = _changes(budget, key)
    ids = list(_under_way(db, caller_of(key).key_id))
    for some in (ids[n : n + AT_ONCE] for n in range(0, len(ids), AT_ONCE)):
        these = {"_id": {"$in": some}, "status": {"$in": UNDER_WAY}}
        db.jobs.update_many(these, changes)
        if budget is not None:
            nothing = {"nonce": new_mark(), "days": {budget.at: Decimal128("0")}}
            unheld = {**these, f"holds.{budget.month}": {"$exists": False}}
            db.jobs.update_many(unheld, {"$set": {f"holds.{budget.month}": nothing}})
    if budget is not None:
        true_up.tick(db, now, key_id=budget.key_id)


def _changes(budget: Budget | None, key: Key) -> Document:
    """What changes in the plans of jobs: see `core.llm.records.BudgetOf`."""
    if budget is None:
        return {"$unset": {"plan.budget": ""}}
    every = {"usd": str(budget.usd), "per": key["budget_period"], "all": budget.workspace_id is None}
    return {"$set": {f"plan.budget.{name}": value for name, value in {**every, "changed": True}.items()}}


def _under_way(db: Database[Document], key_id: str) -> Iterable[str]:
    """The ids of a key's jobs that ask providers. All that wait or run are read: see `core.jobs.bounds`."""
    for status in UNDER_WAY:
        for job in jobs_of(db).find({"status": status}, {"created_by": 1, "kind": 1}):
            if job["created_by"] == key_id and kinds.row(job["kind"]).budgeted:
                yield job["_id"]
