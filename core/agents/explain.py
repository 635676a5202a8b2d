"""Explain: the route that a call would take, whose keys, and the most it may cost. No call is made."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from core.crypto import origin
from core.llm.managed import MANAGED
from core.metering.estimate import costs_of, largest_cost
from core.metering.prices import Prices, Table

Document = dict[str, Any]

OWN, NONE = "own", "none"


def explain(plan: Mapping[str, Any], request: Mapping[str, Any], prices: Prices, own: Table) -> Document:
    """The targets in the order in which they would be asked; costs in USD, None where a price is not known.

    `plan`, `request`: as a job would carry them.
    """
    return {
        "route": [_shown(target, cost) for target, cost in costs_of(plan, request, prices, own)],
        "largest_cost": _number(largest_cost(plan, request, prices, own)),
    }


def _shown(target: Mapping[str, Any], cost: Decimal | None) -> Document:
    return {
        "provider": target["provider"],
        "model": target["model"],
        "address": origin(target["base_url"]),
        "key": _whose(target),
        "tier": target["tier"],
        "largest_cost": _number(cost),
    }


def _whose(target: Mapping[str, Any]) -> str:
    """`own`, `credential:<name>`, `managed`, or `none`."""
    if target["key_kind"] == MANAGED:
        return MANAGED
    if target["sealed"] is None:
        return NONE
    holder: str = target["holder"]
    return holder if holder.startswith("credential:") else OWN


def _number(cost: Decimal | None) -> float | None:
    return None if cost is None else float(cost)
