"""Corrections: rows that change what a call cost, since the ledger is never rewritten. Pure.

A correction has its call's place in time and all its dimensions, no request and no tokens, and the difference
as its cost. So roll-ups, overage and budgets take it up like any other row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from bson.decimal128 import Decimal128

from core.metering.prices import Price
from core.metering.sums import exact

Document = dict[str, Any]

SAME = (
    "workspace_id",
    "agent_id",
    "job_id",
    "attempt",
    "n",
    "key_id",
    "request_type",
    "provider",
    "model",
    "tier",
    "key_kind",
    "outcome",
    "kept",
    "usage_status",
    "timestamp",
    "date",
    "month",
)
NOTHING_USED = (
    "requests",
    "tokens_input",
    "tokens_output",
    "tokens_total",
    "tokens_cached",
    "tokens_cache_write",
    "tokens_reasoning",
)


def cost_now(row: Mapping[str, Any], corrections: Iterable[Mapping[str, Any]]) -> Decimal | None:
    """What a call costs with all its corrections; None while that is not known."""
    costs = [one["cost"] for one in (row, *corrections) if one["cost"] is not None]
    return sum((exact(cost) for cost in costs), Decimal(0)) if costs else None


def correction(
    row: Mapping[str, Any], earlier: list[Mapping[str, Any]], price: Price, now: datetime
) -> Document | None:
    """The row that brings a call's cost to `price`; None where there is nothing to change.

    A price that is no longer known changes nothing. The id says which correction of its call it is: two that
    were made of the same ledger are one.
    """
    before = cost_now(row, earlier)
    if price.cost is None or before == price.cost:
        return None
    return {
        **{name: row[name] for name in SAME},
        **dict.fromkeys(NOTHING_USED, 0),
        "_id": f"{row['_id']}~{len(earlier) + 1}",
        "corrects": row["_id"],
        "unpriced": -1 if before is None else 0,
        "usage_raw": None,
        "cost": Decimal128(price.cost - (before or Decimal(0))),
        "cost_status": price.status,
        "price": {"model": price.model, "source": price.source, "version": price.version},
        "latency_ms": None,
        "provider_request_id": None,
        "entered_at": now,
    }
