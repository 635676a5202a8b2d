"""Lets jobs say what they hold of their key's budget; the budget's document said it before, of all of them.

A budget is made again from the ledger and the jobs when it is next asked for, with days and months in one.
"""

from __future__ import annotations

from typing import Any

from bson.decimal128 import Decimal128
from pymongo.database import Database

from core.ids import new_nonce

Document = dict[str, Any]

DONE = ("succeeded", "failed", "cancelled")


def run(db: Database[Document]) -> None:
    """What a job says already stands. A budget goes when all of its jobs do."""
    for budget in list(db.budgets.find({"holds": {"$exists": True}})):
        month = budget["period"][: len("2026-11")]
        for job_id, hold in budget["holds"].items():
            date = f"{hold['at']:%Y-%m-%d}" if budget["period"] == month else budget["period"]
            _put(db, job_id, month, date, hold["usd"])
        db.budgets.delete_one({"_id": budget["_id"], "holds": {"$exists": True}})


def _put(db: Database[Document], job_id: str, month: str, date: str, usd: Decimal128) -> None:
    unsettled = {"$or": [{"status": {"$nin": DONE}}, {"meter": "due"}]}
    silent = {"_id": job_id, f"holds.{month}": {"$exists": False}}
    hold = {"nonce": new_nonce(), "days": {date: usd}}
    db.jobs.update_one(silent | unsettled, {"$set": {f"holds.{month}": hold}})
