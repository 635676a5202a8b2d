"""Corrections: rows that change what a call cost, since the ledger is never rewritten. Pure.

A correction has its call's place in time and all its dimensions, no request and no tokens, and the difference
as its cost. So roll-ups, overage and budgets take it up like any other row.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from bson.decimal128 import Decimal128

from core.metering.prices import Price
from core.metering.row import LedgerRow
from core.metering.sums import exact


def cost_now(row: LedgerRow, corrections: Iterable[LedgerRow]) -> Decimal | None:
    """What a call costs with all its corrections; None while that is not known."""
    costs = [one["cost"] for one in (row, *corrections) if one["cost"] is not None]
    return sum((exact(cost) for cost in costs), Decimal(0)) if costs else None


def correction(row: LedgerRow, earlier: list[LedgerRow], price: Price, now: datetime) -> LedgerRow | None:
    """The row that brings a call's cost to `price`; None where there is nothing to change.

    A price that is no longer known changes nothing. The id says which correction of its call it is: two that
    were made of the same ledger are one.
    """
    before = cost_now(row, earlier)
    if price.cost is None or before == price.cost:
        return None
    return {
        **row,
        "_id": f"{row['_id']}~{len(earlier) + 1}",
        "corrects": row["_id"],
        "requests": 0,
        "unpriced": -1 if before is None else 0,
        "tokens_input": 0,
        "tokens_output": 0,
        "tokens_total": 0,
        "tokens_cached": 0,
        "tokens_cache_write": 0,
        "tokens_reasoning": 0,
        "usage_raw": None,
        "cost": Decimal128(price.cost - (before or Decimal(0))),
        "cost_status": price.status,
        "price": {"model": price.model, "source": price.source, "version": price.version},
        "latency_ms": None,
        "first_token_ms": None,
        "output_tokens_per_second": None,
        "provider_request_id": None,
        "entered_at": now,
    }
