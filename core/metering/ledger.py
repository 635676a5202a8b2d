"""The ledger: collection `token_usage`, one row for each provider call that consumed tokens, insert-only.

Finished jobs wait in the rows of the processes that ended them, or, the few that were not ended in a row, as
`due`. A tick enters their calls, and then notes how far it has come or clears the mark; whatever crashes in
between is done again, and a row that is there already is the same row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, cast

import structlog
from bson.decimal128 import Decimal128
from pymongo import InsertOne
from pymongo.database import Database

from core.clock import utcnow
from core.jobs.document import Job, jobs_of
from core.jobs.model import DONE
from core.jobs.overdue import in_turn
from core.jobs.places import DUE, read
from core.llm.records import Call
from core.metering import marks, settling
from core.metering import prices as price_tables
from core.metering.calls import calls_of, consumed, row_id
from core.metering.entered import Entered
from core.metering.prices import NOTHING, Price, Prices, Table
from core.metering.row import LedgerRow
from core.store import aside
from core.store.free_json import storable
from core.store.repeat import OUTAGE, write_missing

Document = dict[str, Any]
Outbox = Callable[[Database[Document], Iterable[Job]], object]
Note = Callable[[Database[Document], Iterable[Job], Iterable[LedgerRow]], object]

LOOP = "meter"
OWN_KEY = "byokey"
NEEDED = (
    "status",
    "attempt",
    "kind",
    "workspace_id",
    "agent_id",
    "created_by",
    "holds",
    "callback_url",
    "calls",
    "unkept",
    "meter",
    "place",
    "meter_rev",
    "queue",
    "created_at",
    "finished_at",
    "error.code",
)
"""All that is read of a job: never its content, which may be megabytes."""

CLEARED = 10
"""Marks that are cleared at once. For 2 ms each, the embedded server lets nobody else at the jobs."""
MOST_WAITING = 20_000
"""Of a longer backlog this much is looked at."""

log = structlog.get_logger(__name__)


def enter(
    db: Database[Document],
    prices: Prices,
    *,
    outbox: Outbox,
    note: Note | None = None,
    entered: Entered | None = None,
    limit: int = 500,
) -> Document:
    """Enter the calls of jobs that wait for it, at most `limit` jobs of each row; what was done, by name.

    Before they are noted as entered, `outbox(db, jobs)` makes the callbacks of the jobs that are done, and
    `note(db, jobs, rows)` their part of the history. `entered`: how far it has come in the rows of places.
    """
    entered = entered or Entered()
    entered.look(db)
    shown = dict.fromkeys(NEEDED, 1)
    found = [*entered.waiting(db, limit, shown), *_due(db, limit, shown)]
    jobs = list({job["_id"]: job for job in found}.values())  # one may have become due between the two
    done: Document = {}
    if jobs:
        try:
            done = _enter(db, jobs, prices, outbox, note)
        except OUTAGE:
            raise
        except Exception:  # noqa: BLE001 - one of them must not hold up the others
            done = _one_by_one(db, jobs, lambda job: _enter(db, [job], prices, outbox, note))
    entered.note(job for job in jobs if job["_id"] not in done.get("left", ()))
    entered.save(db)
    return {name: done[name] for name in ("rows", "jobs") if name in done}


def _one_by_one(db: Database[Document], jobs: list[Job], one: Callable[[Job], Document]) -> Document:
    """Enter each by itself. One that cannot be leaves its row and is `due`, to be tried again later.

    `left`: the ids of those that are neither entered nor due.
    """
    log.warning("meter.one_by_one", jobs=len(jobs))
    left = {job["_id"] for job in jobs}

    def tried(job: Job) -> Document:
        done = one(job)
        left.discard(job["_id"])
        return done

    done = aside.each(db, LOOP, jobs, tried)
    for job in jobs:  # those that could not be entered now, and those that were put aside before
        if job["_id"] in left and _leave(db, job):
            left.discard(job["_id"])
    return {**{name: sum(one[name] for one in done) for name in ("rows", "jobs")}, "left": left}


def _leave(db: Database[Document], job: Job) -> bool:
    """Take a job from its row, and make it due. True: it is."""
    try:
        db.jobs.update_one({"_id": job["_id"]}, {"$set": {"meter": DUE}})
    except OUTAGE:
        raise
    except Exception:
        log.exception("meter.not_due", job_id=job["_id"])
        return False
    return True


def _enter(
    db: Database[Document], jobs: list[Job], prices: Prices, outbox: Outbox, note: Note | None
) -> Document:
    own = {ws: price_tables.of_workspace(db, ws) for ws in {job["workspace_id"] for job in jobs}}
    rows = [row for job in jobs for row in rows_of(job, prices, own[job["workspace_id"]])]
    entered = insert(db, rows)
    marks.raise_for(db, rows)
    unsettled = settling.settle(db, jobs, rows if entered == len(rows) else _as_entered(db, rows))
    done = [job for job in jobs if job["status"] in DONE]
    outbox(db, done)
    if note is not None:
        note(db, done, rows)
    settled = [job for job in jobs if job["_id"] not in unsettled]
    placed = sum(job.get("meter") != DUE for job in settled)
    return {"rows": entered, "jobs": placed + _clear(db, [job for job in settled if job.get("meter") == DUE])}


def _due(db: Database[Document], limit: int, shown: Mapping[str, int]) -> list[Job]:
    """Jobs that are due; where there are more than `limit`, by turns of their workspaces."""
    due = {"meter": DUE, **aside.waiting(db, LOOP)}
    some = list(jobs_of(db).find(due, shown).limit(limit))
    if len(some) < limit:
        return some
    waiting = list(jobs_of(db).find(due, {"workspace_id": 1}).limit(MOST_WAITING))
    ids = [job["_id"] for job in islice(in_turn(waiting), limit)]
    return list(jobs_of(db).find({"_id": {"$in": ids}}, shown))


def rows_of(job: Job, prices: Prices, own: Table = NOTHING) -> Iterator[LedgerRow]:
    """The rows of a job's calls that used tokens. While it runs, only of those that will not be kept."""
    for _, call, kept in calls_of(job):
        if consumed(call) and (job["status"] in DONE or not kept):
            yield row(job, call, prices.of(call, own), kept=kept)


def row(job: Job, call: Call, price: Price, *, kept: bool) -> LedgerRow:
    """The row of one call. `date` and `month` are those of `timestamp` in UTC."""
    usage, at = call["usage"], call["started_at"]
    assert usage is not None, "only calls that used tokens have a row"
    return {
        "_id": row_id(job, call),
        "workspace_id": job["workspace_id"],
        "agent_id": str(job["agent_id"]),
        "job_id": job["_id"],
        "attempt": call["attempt"],
        "n": call["n"],
        "key_id": job["created_by"],
        "request_type": job["kind"],
        "provider": call["provider"],
        "model": call["model"],
        "tier": call.get("tier") or OWN_KEY,
        "key_kind": call["key_kind"],
        "outcome": call["outcome"],
        "kept": kept,
        "requests": 1,
        "unpriced": int(price.cost is None),
        "tokens_input": usage["tokens_input"],
        "tokens_output": usage["tokens_output"],
        "tokens_total": usage["tokens_total"],
        "tokens_cached": usage.get("tokens_cached", 0),
        "tokens_cache_write": usage.get("tokens_cache_write", 0),
        "tokens_reasoning": usage.get("tokens_reasoning", 0),
        "usage_status": call.get("usage_status") or "reported",
        "usage_raw": storable(call.get("usage_raw")),
        "cost": None if price.cost is None else Decimal128(price.cost),
        "cost_status": price.status,
        "price": {"model": price.model, "source": price.source, "version": price.version},
        "latency_ms": call.get("latency_ms"),
        "first_token_ms": call.get("first_token_ms"),
        "output_tokens_per_second": call.get("output_tokens_per_second"),
        "provider_request_id": call.get("provider_request_id"),
        "timestamp": at,
        "date": f"{at:%Y-%m-%d}",
        "month": f"{at:%Y-%m}",
        "entered_at": utcnow(),
    }


def insert(db: Database[Document], rows: Iterable[LedgerRow]) -> int:
    """Insert rows; one that is there already stays as it is. How many were new."""
    return write_missing(db.token_usage, [InsertOne(dict(row)) for row in rows])


def _as_entered(db: Database[Document], rows: Iterable[LedgerRow]) -> list[LedgerRow]:
    """The rows as they stand: one that was there already may have been priced otherwise."""
    names = [row["_id"] for row in rows]
    return cast("list[LedgerRow]", list(db.token_usage.find({"_id": {"$in": names}})))


def _clear(db: Database[Document], jobs: Iterable[Job]) -> int:
    """Clear the marks of those to which nothing was added since they were read; how many.

    Those that were added to as often are written together: on the embedded server half the price. One that
    has a place, and calls that came later, stands in its place again.
    """
    alike: defaultdict[tuple[int, str | None], list[str]] = defaultdict(list)
    for job in jobs:
        alike[job["meter_rev"], job.get("place") if read(job.get("place")) else None].append(job["_id"])
    return sum(
        db.jobs.update_many({"_id": {"$in": some}, "meter_rev": rev}, _cleared(at)).modified_count
        for (rev, at), ids in alike.items()
        for some in (ids[n : n + CLEARED] for n in range(0, len(ids), CLEARED))
    )


def _cleared(place: str | None) -> Document:
    return {"$set": {"meter": place}} if place else {"$unset": {"meter": ""}}
