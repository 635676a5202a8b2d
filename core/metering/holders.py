"""Holders: the jobs that hold something of a budget, as they say it themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from pymongo.database import Database

from core.jobs.document import jobs_of
from core.jobs.model import QUEUED, RUNNING
from core.jobs.places import DUE
from core.metering.sums import exact
from core.store import aside

Document = dict[str, Any]
LOOP = "true_up"
Holder = Mapping[str, Any]
"""A job, as far as its `holds` and `created_by`."""


def holding(job: Holder) -> list[str]:
    """The months in which a job holds something."""
    return [month for month, hold in job.get("holds", {}).items() if hold["days"]]


def due(db: Database[Document]) -> dict[str, Document]:
    """Jobs by id that have held something, and wait for the ledger, which may have come to some of them."""
    return {job["_id"]: job for job in _read(db, {"meter": DUE})}


def under_way(db: Database[Document]) -> Iterator[Document]:
    """Jobs that are queued or run. Some of them twice: one that is handed back meanwhile is queued again."""
    for status in (QUEUED, RUNNING, QUEUED):
        yield from (job for job in _read(db, {"status": status}) if holding(job))


def amounts(jobs: Iterable[Document]) -> dict[str, dict[str, Decimal]]:
    """USD by budget and date."""
    found: dict[str, dict[str, Decimal]] = {}
    for job in {job["_id"]: job for job in jobs}.values():
        for month in holding(job):
            days = found.setdefault(f"{job['created_by']}:{month}", {})
            for date, usd in job["holds"][month]["days"].items():
                days[date] = days.get(date, Decimal(0)) + exact(usd)
    return found


def _read(db: Database[Document], wanted: Document) -> list[Document]:
    """Those that have held something. One that says it oddly is put aside: nobody can say what it holds."""
    shown = {"workspace_id": 1, "created_by": 1, "holds": 1}
    found = (job for job in jobs_of(db).find(wanted, shown) if job.get("holds"))
    return aside.each(db, LOOP, found, _sound)


def _sound(job: Holder) -> Document:
    """Raises for one that cannot be read."""
    amounts([dict(job)])
    if not isinstance(job["workspace_id"], str):
        raise TypeError("a job is of a workspace")
    return dict(job)
