"""What the tests of the meter make over and over: calls, finished jobs, ledger rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from core.callbacks import outbox
from core.clock import utcnow
from core.ids import new_id
from core.jobs.claim import claim, finish
from core.metering import budgets, ledger, marks
from core.metering.intents import Change
from core.metering.prices import Prices
from tests.factory import queued

PRICES = Prices()


def call(n: int = 0, tokens: tuple[int, int] = (12, 5), **more: Any) -> dict[str, Any]:
    """A provider call as the router records it, of a job's first claim."""
    asked, said = tokens
    return {
        "n": n,
        "attempt": 1,
        "provider": "openai",
        "model": "gpt-4o-mini",
        "key_kind": "byokey",
        "tier": None,
        "outcome": "ok",
        "http_status": 200,
        "latency_ms": 20,
        "provider_request_id": None,
        "started_at": utcnow(),
        "usage": {"tokens_input": asked, "tokens_output": said, "tokens_total": asked + said},
        "usage_raw": None,
        "usage_status": "reported",
        "possibly_charged": False,
        "detail": None,
        **more,
    }


def reserve(db: Any, budget: Any, job_id: str, usd: Any, now: Any = None) -> Any:
    """What a job holds that is about to be stored."""
    change = Change(job_id, None, {budget.at: usd})
    budgets.place(db, budget, change, usd, now)
    return change.hold


def finished(db: Any, calls: list[Any], *, status: str = "succeeded", **changes: Any) -> str:
    """The id of a job that ended with these calls."""
    job = claim(db, queued(db, **changes)["_id"], "p1")
    assert finish(db, job, status=status, calls=calls, result={} if status == "succeeded" else None)
    return job["_id"]


def enter(db: Any, **more: Any) -> dict[str, Any]:
    """One tick of the meter."""
    return ledger.enter(db, PRICES, outbox=outbox, **more)


def at(text: str) -> datetime:
    """`at("2026-03-01 23:59")`, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def row(
    when: datetime,
    *,
    workspace: str = "w1",
    agent: str = "a1",
    key: str = "k1",
    kept: bool = True,
    **more: Any,
):
    """A ledger row, of a call at a time; the rest as in `call`."""
    job = {"_id": new_id(), "workspace_id": workspace, "agent_id": agent, "created_by": key, "kind": "chat"}
    of = call(started_at=when, **more)
    return ledger.row(job, of, PRICES.of(of), kept=kept)


def managed(when: datetime, tokens: tuple[int, int], tier: str = "economy", **more: Any):
    """A row of a call on our keys."""
    of = {"key_kind": "managed", "tier": tier, "provider": "minimax", "model": "MiniMax-M2.5"}
    return row(when, tokens=tokens, **of, **more)


def put(db: Any, rows: list[Any]) -> None:
    """Enter rows as the meter does."""
    ledger.insert(db, rows)
    marks.raise_for(db, rows)
