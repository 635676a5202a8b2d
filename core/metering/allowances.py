"""Allowances: each agent's use of its tier in a month, the overage ledger, and who is told at which point.

Marks in `usage_allowances` say what must be computed; `managed_overage` is set from the ledger each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog
from bson.decimal128 import Decimal128
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from core.clock import rfc3339, utcnow
from core.deliveries import born, deliveries_of
from core.llm.managed import MANAGED
from core.metering import marks, overage
from core.metering.budget import OverLimit
from core.metering.overage import Projection
from core.metering.periods import dates_of, month_ends
from core.store import aside

Document = dict[str, Any]

THRESHOLDS = (80, 100, 120)
"""Per cent of the allowance at which a workspace is told, once a month each."""

log = structlog.get_logger(__name__)


def tick(db: Database[Document], allowances: Mapping[str, int], now: datetime | None = None) -> Document:
    """Compute all that is marked. `allowances`: tokens a month, by tier."""
    marks_ = list(db.usage_allowances.find({"open": True}))
    computed = aside.each(
        db, "allowances", marks_, lambda mark: recompute(db, mark, allowances, now or utcnow())
    )
    return {"allowances": len(computed)}


def recompute(
    db: Database[Document], mark: Mapping[str, Any], allowances: Mapping[str, int], now: datetime
) -> Projection:
    """Set the overage of an agent, tier and month from the ledger; stale rows go. Safe to repeat.

    A month that is over has the allowance that it had then.
    """
    allowance = allowances.get(mark["tier"], 0)
    if mark["month"] < f"{now:%Y-%m}":
        allowance = mark.get("allowance", allowance)
    projection = _project(db, mark, allowance)
    scope = {name: mark[name] for name in ("agent_id", "tier", "month")}
    rows = [{**row, "cost": _stored(row["cost"])} for row in projection.rows]
    marks.set_all(db.managed_overage, scope, rows, mark["rev"])
    values = {"allowance": allowance, "used": projection.used, "overage": projection.above}
    marks.close(db.usage_allowances, mark, values)
    if mark["month"] == f"{now:%Y-%m}":
        _tell(db, mark, projection, now)
    return projection


def check(so_far: int, tier: str, allowance: int, now: datetime) -> None:
    """`limit_policy: block`: raises `OverLimit` once the allowance is used up; calls in flight overshoot."""
    if so_far >= allowance:
        resets_at = month_ends(f"{now:%Y-%m}")
        raise OverLimit(
            f"the {tier} tier allows an agent {_short(allowance)} tokens a month; {_short(so_far)} are used, "
            f"it resets at {rfc3339(resets_at)}",
            limit=allowance,
            used=so_far,
            unit="tokens",
            resets_at=resets_at,
        )


def used(db: Database[Document], workspace_id: str, agent_id: str, tier: str, month: str) -> int:
    """The tokens that an agent has used of a tier in a month, as of now."""
    mark = {"workspace_id": workspace_id, "agent_id": agent_id, "tier": tier, "month": month}
    return sum(_by_day(db, mark).values())


def _project(db: Database[Document], mark: Mapping[str, Any], allowance: int) -> Projection:
    """Row by row only from the day on which the allowance ended; what was before is a sum by day."""
    so_far = 0
    by_day = _by_day(db, mark)
    for date in sorted(by_day):
        if so_far + by_day[date] > allowance:
            return overage.project(allowance, _rows(db, mark, from_date=date), used_before=so_far)
        so_far += by_day[date]
    return Projection(allowance, so_far, 0, [])


def _by_day(db: Database[Document], mark: Mapping[str, Any]) -> dict[str, int]:
    """Tokens by date: closed days from their roll-up, open ones from the ledger."""
    waiting = {day["date"] for day in marks.opened(db.usage_days, mark["workspace_id"])}
    opened = [date for date in dates_of(mark["month"]) if date in waiting]
    closed = [date for date in dates_of(mark["month"]) if date not in waiting]
    total: Document = {"$group": {"_id": "$date", "tokens": {"$sum": "$tokens_total"}}}
    found = list(db.usage_daily.aggregate([*_of_agent(mark, closed), total]))
    if opened:
        found += db.token_usage.aggregate([*_of_agent(mark, opened), {"$match": {"kept": True}}, total])
    return {day["_id"]: day["tokens"] for day in found}


def _rows(db: Database[Document], mark: Mapping[str, Any], *, from_date: str) -> list[Document]:
    dates = [date for date in dates_of(mark["month"]) if date >= from_date]
    return list(db.token_usage.aggregate([*_of_agent(mark, dates), {"$project": {"usage_raw": 0}}]))


def _of_agent(mark: Mapping[str, Any], dates: list[str]) -> list[Document]:
    """The stages that select an agent's tier: first what an index answers, then the rest."""
    return [
        {"$match": {"agent_id": mark["agent_id"], "date": {"$in": dates}}},
        {"$match": {"tier": mark["tier"], "key_kind": MANAGED}},
    ]


def _tell(db: Database[Document], mark: Mapping[str, Any], projection: Projection, now: datetime) -> None:
    """Say once a month that a threshold was passed: in the log, and to the workspace's `alert_url`."""
    if projection.allowance <= 0:
        return
    for percent in THRESHOLDS:
        if projection.used * 100 < projection.allowance * percent or percent in mark.get("told", ()):
            continue
        _deliver(db, mark, projection, percent, now)
        first = {"_id": mark["_id"], "told": {"$ne": percent}}
        if db.usage_allowances.update_one(first, {"$push": {"told": percent}}).modified_count != 1:
            continue
        so_far, limit = _short(projection.used), _short(projection.allowance)
        if percent >= 100:
            text = f"Managed LLM fair-use exceeded for agent {mark['agent_id']}: {so_far}/{limit} tokens"
            log.warning(text, tier=mark["tier"], month=mark["month"], percent=percent)
        else:
            text = (
                f"Managed LLM fair-use at {percent} % for agent {mark['agent_id']}: {so_far}/{limit} tokens"
            )
            log.info(text, tier=mark["tier"], month=mark["month"], percent=percent)


def _deliver(
    db: Database[Document], mark: Mapping[str, Any], projection: Projection, percent: int, now: datetime
) -> None:
    workspace = db.workspaces.find_one({"_id": mark["workspace_id"]}, {"alert_url": 1}) or {}
    if not workspace.get("alert_url"):
        return
    name = f"allowance-{mark['agent_id']}-{mark['tier']}-{mark['month']}-{percent}"
    delivery = born(
        name,
        workspace_id=mark["workspace_id"],
        job_id=None,
        event="allowance.threshold",
        url=workspace["alert_url"],
        now=now,
    )
    delivery["payload"] = {
        "agent_id": mark["agent_id"],
        "tier": mark["tier"],
        "month": mark["month"],
        "threshold_percent": percent,
        "tokens_used": projection.used,
        "tokens_allowed": projection.allowance,
        "tokens_overage": projection.above,
    }
    try:
        deliveries_of(db).insert_one(delivery)
    except DuplicateKeyError:
        log.debug("allowance.told_already", delivery=delivery["_id"])


def _stored(cost: Any) -> Decimal128 | None:
    return None if cost is None else Decimal128(cost)


def _short(tokens: int) -> str:
    """2100000 as 2.1M, 950 as 950."""
    for unit, name in ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k")):
        if tokens >= unit:
            return f"{tokens / unit:.1f}".removesuffix(".0") + name
    return str(tokens)
