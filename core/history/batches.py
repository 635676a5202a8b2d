"""Batches: what the history needs of jobs that ended, noted while the ledger has them in its hands.

One insert for all jobs of a workspace and minute that are entered together. A job that is noted twice counts
once, since a minute is computed from the batches by the jobs' ids.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from bson.decimal128 import Decimal128
from pymongo.database import Database

from core.clock import utcnow
from core.history.documents import Batch, CallFact, JobFact
from core.ids import new_id
from core.jobs.document import Job
from core.jobs.model import DONE
from core.llm.records import CUT_OFF, OK, Call
from core.metering.row import LedgerRow

Document = dict[str, Any]

LATEST = timedelta(hours=1)
"""Jobs that come to the ledger later than this after their end are in no chart."""
KEPT = 3 * LATEST
MINUTE = timedelta(minutes=1)


def note(db: Database[Document], jobs: Iterable[Job], rows: Iterable[LedgerRow]) -> int:
    """Note jobs that ended, with the ledger rows of their calls; how many were noted."""
    costs: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        if row["kept"] and row["cost"] is not None:
            costs[row["job_id"]] += row["cost"].to_decimal()
    now = utcnow()
    batches: dict[tuple[str, datetime], Batch] = {}
    for job in jobs:
        at = job["finished_at"]
        if job["status"] in DONE and at is not None and at > now - LATEST:
            minute = at.replace(second=0, microsecond=0)
            batch = batches.setdefault(
                (job["workspace_id"], minute), _batch(job["workspace_id"], minute, now)
            )
            batch["jobs"].append(fact(job, at, costs[job["_id"]]))
    if batches:
        db.history_batches.insert_many([dict(batch) for batch in batches.values()], ordered=False)
    return sum(len(batch["jobs"]) for batch in batches.values())


def _batch(workspace_id: str, minute: datetime, now: datetime) -> Batch:
    return {
        "_id": new_id(),
        "workspace_id": workspace_id,
        "at": minute,
        "open": True,
        "jobs": [],
        "expires_at": now + KEPT,
    }


def fact(job: Job, finished_at: datetime, cost: Decimal = Decimal(0)) -> JobFact:
    """What the history needs of a job that ended."""
    error = job.get("error") or {}
    return {
        "id": job["_id"],
        "status": job["status"],
        "code": error.get("code"),
        "agent_id": job["agent_id"],
        "queue": job["queue"],
        "latency_ms": int((finished_at - job["created_at"]) / timedelta(milliseconds=1)),
        "cost": Decimal128(cost),
        "calls": [_call(call) for call in job["calls"]],
    }


def _call(call: Call) -> CallFact:
    recorded: Mapping[str, Any] = call
    return {
        "provider": call["provider"],
        "ok": call["outcome"] in (OK, CUT_OFF),  # what a user cancelled is no failure of the provider
        "latency_ms": call["latency_ms"],
        "first_token_ms": recorded.get("first_token_ms"),
    }
