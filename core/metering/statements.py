"""Statements: one for each workspace at its month's close, stored as it was issued, in `statements`.

What comes in later (a late row, a correction) makes a new revision; the earlier ones stay. A statement can be
computed again from the ledger at any time: the last revision's SHA-256 is the proof that nothing changed.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from core.clock import rfc3339, utcnow
from core.errors import NotFound
from core.metering import statement, sums, usage
from core.metering.periods import month_ends, of_month
from core.store import aside

Document = dict[str, Any]

SETTLED_AFTER = timedelta(hours=1)
"""A call of a month's last minute is in the ledger by then (a job takes ten minutes at most)."""
A_TICK = 50

log = structlog.get_logger(__name__)


def tick(db: Database[Document], tier_prices: Mapping[str, Any], now: datetime | None = None) -> Document:
    """Issue what is due: months that are over, rolled up and not stated yet; what was done, by name.

    `tier_prices`: USD a month, by tier.
    """
    at, left = now or utcnow(), iter(range(A_TICK))

    def see_to(mark: Document) -> bool:
        over = not mark["open"] and month_ends(mark["month"]) + SETTLED_AFTER <= at
        return over and next(left, None) is not None and _issue(db, mark, tier_prices, at)

    return {"statements": sum(aside.each(db, "statements", db.usage_months.find({"stated": False}), see_to))}


def compute(
    db: Database[Document], workspace_id: str, month: str, tier_prices: Mapping[str, Any]
) -> Document:
    """A month's statement from the ledger as it is now; also of a month that is not over yet."""
    of = {"workspace_id": workspace_id, "month": month}
    marks = [mark for mark in db.usage_allowances.find(of) if "allowance" in mark]
    overages = {(one["_id"]["agent_id"], one["_id"]["tier"]): one for one in overages_of(db, of)}
    used = usage.of_workspace(db, workspace_id, of_month(month))
    prices = {**tier_prices, **_prices_before(db, workspace_id, month)}
    over = month_ends(month) <= utcnow()
    return statement.content(workspace_id, month, used, marks, overages, prices, over=over)


def listed(db: Database[Document], workspace_id: str) -> list[Document]:
    """All statements of a workspace without their lines, the latest month and revision first."""
    found = db.statements.find({"workspace_id": workspace_id}, {"body": 0})
    return [_head(one) for one in sorted(found, key=lambda s: (s["month"], s["revision"]), reverse=True)]


def get(
    db: Database[Document],
    workspace_id: str,
    month: str,
    tier_prices: Mapping[str, Any],
    *,
    revision: int | None = None,
) -> Document:
    """A statement as issued: the last revision, or the one that is asked for.

    Before a month's close it is computed, with `revision` None. Raises `NotFound` for a revision not there.
    """
    found = _revisions(db, workspace_id, month)
    if revision is None and not found:
        content = compute(db, workspace_id, month, tier_prices)
        return {**content, "revision": None, "issued_at": None, "sha256": None}
    for one in found:
        if revision in (None, one["revision"]):
            return {**_content(one), **_head(one)}
    raise NotFound(f"no revision {revision} of the statement of {month}")


def overages_of(db: Database[Document], of: Mapping[str, Any]) -> list[Document]:
    """A workspace's overage in a month by agent and tier: calls, tokens_overage, unpriced, cost."""
    total: Document = {
        "_id": {"agent_id": "$agent_id", "tier": "$tier"},
        "calls": {"$sum": 1},
        "tokens_overage": {"$sum": "$tokens_overage"},
        "unpriced": {"$sum": {"$cond": [{"$eq": ["$cost", None]}, 1, 0]}},
        "cost": {"$sum": {"$ifNull": ["$cost", 0]}},
    }
    found = db.managed_overage.aggregate([{"$match": dict(of)}, {"$group": total}])
    return [{**one, "cost": sums.exact(one["cost"])} for one in found]


def _issue(
    db: Database[Document], mark: Mapping[str, Any], tier_prices: Mapping[str, Any], now: datetime
) -> bool:
    """Issue a revision if there is anything new to say; the mark is cleared unless rows came in meanwhile."""
    workspace, month = mark["workspace_id"], mark["month"]
    waiting = db.usage_allowances.find({"workspace_id": workspace, "month": month})
    if any(allowance["open"] for allowance in waiting):
        return False
    body = statement.encoded(compute(db, workspace, month, tier_prices))
    issued = _store(db, workspace, month, body, now)
    db.usage_months.update_one({"_id": mark["_id"], "rev": mark["rev"]}, {"$set": {"stated": True}})
    return issued


def _store(db: Database[Document], workspace_id: str, month: str, body: bytes, now: datetime) -> bool:
    earlier = _revisions(db, workspace_id, month)
    sha256 = statement.digest(body)
    if earlier and earlier[0]["sha256"] == sha256:
        return False
    revision = earlier[0]["revision"] + 1 if earlier else 1
    document = {
        "_id": f"{workspace_id}:{month}:{revision}",
        "workspace_id": workspace_id,
        "month": month,
        "revision": revision,
        "issued_at": now,
        "sha256": sha256,
        "body": zlib.compress(body),
    }
    try:
        db.statements.insert_one(document)
    except DuplicateKeyError:  # an earlier leader's; the mark's next turn compares again
        log.warning("statement.issued_twice", statement=document["_id"])
        return False
    log.info("statement.issued", statement=document["_id"], sha256=sha256)
    return True


def _prices_before(db: Database[Document], workspace_id: str, month: str) -> Document:
    """The prices of tiers that this month was stated with: a later table does not change what was."""
    earlier = _revisions(db, workspace_id, month)
    if not earlier:
        return {}
    return {line["tier"]: line["price_usd"] for line in _content(earlier[-1])["tiers"]}


def _revisions(db: Database[Document], workspace_id: str, month: str) -> list[Document]:
    """The last one first."""
    found = db.statements.find({"workspace_id": workspace_id, "month": month})
    return sorted(found, key=lambda one: -one["revision"])


def _content(document: Mapping[str, Any]) -> Document:
    found: Document = json.loads(zlib.decompress(document["body"]))
    return found


def _head(document: Mapping[str, Any]) -> Document:
    same = {name: document[name] for name in ("month", "revision", "sha256")}
    return {**same, "issued_at": rfc3339(document["issued_at"])}
