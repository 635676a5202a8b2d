"""The audit: provider calls that used tokens, as the jobs know them, against the rows of the ledger, by id.

It covers the time for which jobs are retained. It goes through it day by day, and forgets what agrees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pymongo.database import Database

from core.clock import rfc3339
from core.jobs.document import Job, jobs_of
from core.jobs.model import DONE
from core.metering.calls import calls_of, consumed, tokens
from core.metering.entered import waits
from core.metering.ledger import LOOP
from core.metering.periods import DAY, Period
from core.store import aside

Document = dict[str, Any]

WAITING = timedelta(days=7)
"""A job's calls may be made this much later than it was accepted (paused queues), and are still found."""
LISTED = 1000
NEEDED = ("status", "attempt", "meter", "calls", "unkept", "lost", "created_at")


@dataclass
class Findings:
    """Ids are `job:attempt:call`. `calls` and `rows`: tokens by id, of what did not meet its counterpart."""

    start: datetime
    end: datetime
    waits: Callable[[Job], bool]
    agreed: int = 0
    tokens: int = 0
    not_kept: int = 0
    calls: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    aside: set[str] = field(default_factory=set)
    """Jobs that could not be entered: what they miss is missing, however often the ledger tries again."""
    differing: list[str] = field(default_factory=list)
    pending: set[str] = field(default_factory=set)
    beyond: int = 0
    charged: list[Document] = field(default_factory=list)

    def within(self, at: datetime) -> bool:
        return self.start <= at < self.end

    def meet(self) -> None:
        """Let calls and rows of the same id cancel each other out."""
        for name in self.calls.keys() & self.rows.keys():
            said, entered = self.calls.pop(name), self.rows.pop(name)
            self.agreed += 1
            self.tokens += entered
            if said != entered:
                self.differing.append(name)


def audit(db: Database[Document], workspace_id: str, period: Period, *, retained_since: datetime) -> Document:
    """Calls against rows; `equal` when there is no difference. `retained_since`: older jobs may be gone."""
    found = Findings(max(period.start, retained_since), period.end, waits(db))
    found.aside = {one.removeprefix(f"{LOOP}:") for one in aside.known(db, LOOP)}
    day = (found.start - WAITING).replace(hour=0, minute=0, second=0, microsecond=0)
    while day < found.end:
        _read_rows(db, workspace_id, day, found)
        _read_jobs(db, workspace_id, day, found)
        found.meet()
        day += DAY
    _look_up_rows(db, found)
    _look_up_calls(db, found)
    return _report(found, retained_since)


def _read_rows(db: Database[Document], workspace_id: str, day: datetime, found: Findings) -> None:
    wanted = {"workspace_id": workspace_id, "date": f"{day:%Y-%m-%d}"}
    shown = {"tokens_total": 1, "timestamp": 1, "kept": 1, "corrects": 1}
    for row in db.token_usage.find(wanted, shown):
        if found.within(row["timestamp"]) and not row.get("corrects"):
            found.rows[row["_id"]] = row["tokens_total"]
            found.not_kept += not row["kept"]


def _read_jobs(db: Database[Document], workspace_id: str, day: datetime, found: Findings) -> None:
    wanted = {"workspace_id": workspace_id, "created_at": {"$gte": day, "$lt": day + DAY}}
    for job in jobs_of(db).find(wanted, dict.fromkeys(NEEDED, 1)):
        for name, call, _ in calls_of(job):
            if not found.within(call["started_at"]):
                continue
            if consumed(call):
                found.calls[name] = tokens(call)
                if job["status"] not in DONE or (found.waits(job) and job["_id"] not in found.aside):
                    found.pending.add(name)
            if call.get("possibly_charged"):
                found.charged.append(_charged(name, call))
        found.charged += [lost for lost in _lost(job) if found.within(lost["at"])]


def _charged(name: str, call: Mapping[str, Any]) -> Document:
    return {
        "id": name,
        "at": call["started_at"],
        "provider": call["provider"],
        "model": call["model"],
        "reason": f"the call ended as {call['outcome']} after it was sent",
    }


def _lost(job: Job) -> Iterator[Document]:
    """Claims whose worker died before it could say which calls it had made."""
    told = {call["attempt"] for _, call, _ in calls_of(job)}
    for lost in job.get("lost", ()):
        if lost["attempt"] not in told:
            yield {
                "id": f"{job['_id']}:{lost['attempt']}",
                "at": lost["lost_at"],
                "provider": None,
                "model": None,
                "reason": "the worker was lost before it could tell which calls it made",
            }


def _look_up_rows(db: Database[Document], found: Findings) -> None:
    """Rows whose call was not met on the way: of jobs that waited longer, or that are gone."""
    for name in list(found.rows):
        job = jobs_of(db).find_one({"_id": name.rsplit(":", 2)[0]}, dict.fromkeys(NEEDED, 1))
        if job is None:
            found.beyond += 1
            del found.rows[name]
            continue
        for its, call, _ in calls_of(job):
            if its == name and consumed(call):
                found.calls[name] = tokens(call)
    found.meet()


def _look_up_calls(db: Database[Document], found: Findings) -> None:
    """Calls without a row: entered since, still waiting to be entered, or missing."""
    for name in list(found.calls):
        row = db.token_usage.find_one({"_id": name}, {"tokens_total": 1})
        if row is not None:
            found.rows[name] = row["tokens_total"]
    found.meet()
    found.pending &= found.calls.keys()
    for name in found.pending:
        del found.calls[name]


def _report(found: Findings, retained_since: datetime) -> Document:
    missing, unexpected = sorted(found.calls), sorted(found.rows)
    return {
        "from": rfc3339(found.start),
        "to": rfc3339(found.end),
        "speaks_from": rfc3339(retained_since),
        "calls": found.agreed + len(missing),
        "rows": found.agreed + len(unexpected),
        "equal": not (missing or unexpected or found.differing),
        "tokens": found.tokens,
        "rows_not_kept": found.not_kept,
        "missing": missing[:LISTED],
        "unexpected": unexpected[:LISTED],
        "differing": sorted(found.differing)[:LISTED],
        "pending": len(found.pending),
        "rows_of_deleted_jobs": found.beyond,
        "possibly_charged": len(found.charged),
        "possibly_charged_calls": [{**one, "at": rfc3339(one["at"])} for one in found.charged[:LISTED]],
    }
