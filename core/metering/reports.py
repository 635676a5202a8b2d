"""Reports: usage as the API shows it, for an agent, a workspace, its tiers, its overage."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from pymongo.database import Database

from core.clock import rfc3339
from core.documents import Agent
from core.llm.tiers import of_agent as tier_of
from core.metering import allowances, caching, prices, speeds, sums, usage
from core.metering.periods import Period, month_ends, period
from core.metering.prices import Prices
from core.metering.statements import overages_of
from core.metering.usage import Usage, shown
from core.store import pages

Document = dict[str, Any]


def agent(
    db: Database[Document],
    asked: Agent,
    during: Period,
    monthly_tokens: Mapping[str, int],
    now: datetime,
    table: Prices,
) -> Document:
    """An agent's usage, with what caching saved and, if it is on a tier, that tier's allowance."""
    found = usage.of_agent(db, asked["workspace_id"], asked["_id"], during)
    tier = tier_of(asked)
    limit = monthly_tokens.get(tier) if tier else None
    saved = caching.saved(found, table, prices.of_workspace(db, asked["workspace_id"]))
    by_model = [
        {**row, "cache_saved": _amount(saved[row["provider"], row["model"]])} for row in _models(found)
    ]
    return {
        "agent_id": asked["_id"],
        **_head(found, during),
        "cache_saved": _amount(caching.total(saved)),
        "by_model": by_model,
        "by_date": _dates(found),
        "allowance": allowance(db, asked, tier, limit, now) if tier and limit is not None else None,
    }


def allowance(
    db: Database[Document], asked: Mapping[str, Any], tier: str, limit: int, now: datetime
) -> Document:
    """What a tier allows an agent this month, what is left, and when it will end at this pace."""
    month = f"{now.astimezone(UTC):%Y-%m}"
    used = allowances.used(db, asked["workspace_id"], asked["_id"], tier, month)
    return {
        "tier": tier,
        "month": month,
        "tokens_allowed": limit,
        "tokens_used": used,
        "tokens_left": max(0, limit - used),
        "tokens_overage": max(0, used - limit),
        "resets_at": rfc3339(month_ends(month)),
        "exhausted_on": exhausted_on(used, limit, month, now),
    }


def allowances_of(
    db: Database[Document], workspace_id: str, month: str, limits: Mapping[str, int], now: datetime
) -> list[Document]:
    """Each agent's use of its tier in a month, as `allowance` has it, those with most first."""
    found = []
    for mark in db.usage_allowances.find({"workspace_id": workspace_id, "month": month}):
        asked, tier = {"workspace_id": workspace_id, "_id": mark["agent_id"]}, mark["tier"]
        found.append({**allowance(db, asked, tier, limits.get(tier, 0), now), "agent_id": mark["agent_id"]})
    return sorted(found, key=lambda row: -row["tokens_used"])


def exhausted_on(used: int, limit: int, month: str, now: datetime) -> str | None:
    """The date on which an allowance ends if use goes on as so far this month; None: not before it resets."""
    begins = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    if used >= limit:
        return str(now.astimezone(UTC).date())
    if used <= 0:
        return None
    seconds = (now - begins).total_seconds() * limit / used
    ends = month_ends(month)
    if seconds >= (ends - begins).total_seconds():
        return None
    return str((begins + timedelta(seconds=seconds)).date())


def summary(db: Database[Document], workspace_id: str, during: Period) -> Document:
    """A workspace's usage, cut in every direction."""
    found = usage.of_workspace(db, workspace_id, during)
    return {
        "workspace_id": workspace_id,
        **_head(found, during),
        "by_agent": _by(found, "agent_id"),
        "by_model": _models(found),
        "by_provider": _by(found, "provider"),
        "by_tier": _by(found, "tier"),
        "by_date": _dates(found),
    }


def tiers(
    db: Database[Document], workspace_id: str, table: Mapping[str, Mapping[str, Any]], now: datetime
) -> Document:
    """The table of tiers, each with this workspace's use of it this month."""
    during = period(now, name="month")
    month = during.dates()[0][:7]
    found = {key["tier"]: sums_ for key, sums_ in usage.of_workspace(db, workspace_id, during).by("tier")}
    marks = list(db.usage_allowances.find({"workspace_id": workspace_id, "month": month}))
    items = []
    for name, row in table.items():
        mine = [mark for mark in marks if mark["tier"] == name]
        used = {
            "agents": len(mine),
            "agents_over": sum(mark.get("overage", 0) > 0 for mark in mine),
            "tokens_overage": sum(mark.get("overage", 0) for mark in mine),
        }
        items.append({"name": name, **row, "usage": {**shown(found.get(name) or sums.nothing()), **used}})
    own = shown(found.get("byokey") or sums.nothing())
    return {"month": month, "resets_at": rfc3339(month_ends(month)), "items": items, "own_keys": own}


def overage(
    db: Database[Document], workspace_id: str, month: str, *, limit: int, cursor: str | None
) -> Document:
    """A month's overage ledger: what it comes to by agent and tier, and a page of its rows, newest first."""
    of_month = {"workspace_id": workspace_id, "month": month}
    items, next_cursor = pages.page(db.managed_overage, of_month, limit=limit, cursor=cursor)
    return {
        "month": month,
        "by_agent": [_overage_of(one) for one in overages_of(db, of_month)],
        "items": [_overage_row(row) for row in items],
        "next_cursor": next_cursor,
    }


def _overage_of(one: Mapping[str, Any]) -> Document:
    counts = {name: one[name] for name in ("calls", "tokens_overage")}
    return {**one["_id"], **counts, "calls_unpriced": one["unpriced"], "cost": float(one["cost"])}


def _overage_row(row: Mapping[str, Any]) -> Document:
    names = ("agent_id", "tier", "job_id", "provider", "model", "tokens_total", "tokens_overage")
    return {
        "id": row["_id"],
        **{name: row[name] for name in names},
        "cost": None if row["cost"] is None else float(sums.exact(row["cost"])),
        "cost_status": "unknown" if row["cost"] is None else "known",
        "timestamp": rfc3339(row["created_at"]),
    }


def _head(found: Usage, during: Period) -> Document:
    """What every report begins with: the period, and the totals."""
    total = shown(found.total())
    dates = during.dates()
    return {
        "period": {"from": dates[0], "to": dates[-1], "timezone": during.zone_name},
        "requests": total.pop("requests"),
        "cost": total.pop("cost"),
        "cost_status": total.pop("cost_status"),
        "totals": total,
    }


def _by(found: Usage, *names: str) -> list[Document]:
    return [{**key, **shown(sums_)} for key, sums_ in found.by(*names)]


def _models(found: Usage) -> list[Document]:
    """By model, with how fast each was."""
    fast = speeds.fold(found.groups, lambda group: (group["provider"], group["model"]))
    return [
        {**row, **speeds.shown(fast[row["provider"], row["model"]])}
        for row in _by(found, "provider", "model")
    ]


def _amount(saved: Decimal | None) -> float | None:
    return None if saved is None else float(saved)


def _dates(found: Usage) -> list[Document]:
    return [{"date": date, **shown(sums_)} for date, sums_ in found.by_date.items()]
