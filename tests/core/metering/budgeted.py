"""What tests of budgets share: a job that holds a part of one, and what is spent and held."""

from __future__ import annotations

from decimal import Decimal

from core.accounts.keys import Caller
from core.clock import utcnow
from core.ids import new_id
from core.jobs.claim import claim, finish
from core.jobs.model import born
from core.metering import budgets, ledger
from core.metering.budget import of_key as of_caller
from core.metering.sums import exact
from tests.core.metering.rows import PRICES, call, reserve
from tests.factory import draft

CENT = Decimal("0.01")


def of_key(key, now):
    limits = {"budget_usd": key["budget_usd"], "budget_period": key["budget_period"]}
    return of_caller(Caller(key["_id"], key["role"], key["workspace_id"], **limits), now)


def spent(db, budget):
    return exact(budgets.counter(db.budgets.find_one({"_id": budget.name}), budget)["spent"])


def reserved(db, budget):
    return Decimal(str(budgets.used(db, budget)["reserved_usd"]))


def job_of(db, key, budget, usd, job_id=None):
    """A running job that holds so much."""
    job_id = job_id or new_id()
    hold = reserve(db, budget, job_id, usd)
    db.jobs.insert_one(born(draft(created_by=key["_id"], holds={budget.month: hold}), job_id, utcnow()))
    return claim(db, job_id, "p1")


def done_with_rows(db, key, budget):
    job = job_of(db, key, budget, 5 * CENT)
    finish(db, job, status="succeeded", calls=[call(tokens=(100_000, 0))], result={})
    done = db.jobs.find_one({"_id": job["_id"]})
    return [done], list(ledger.rows_of(done, PRICES))
