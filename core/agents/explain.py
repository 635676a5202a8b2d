"""Explain: the route that a call would take, whose keys it would use, and the most it may cost. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from core.crypto import origin
from core.llm.keyring import is_keyed
from core.llm.managed import MANAGED
from core.llm.records import PlannedTarget
from core.metering import estimate
from core.metering.estimate import Cost

Document = dict[str, Any]

OWN, NONE = "own", "none"


def explain(costs: Sequence[Cost]) -> Document:
    """The targets, in the order in which they would be asked. Costs are USD; None: the price is unknown."""
    return {
        "route": [_shown(target, cost) for target, cost in costs],
        "largest_cost": _number(estimate.largest(costs)),
    }


def _shown(target: PlannedTarget, cost: Decimal | None) -> Document:
    return {
        "provider": target["provider"],
        "model": target["model"],
        "address": origin(target["base_url"]),
        "key": _whose(target),
        "tier": target["tier"],
        "largest_cost": _number(cost),
    }


def _whose(target: PlannedTarget) -> str:
    """Whose key this target is asked with: `own`, `credential:<name>`, `managed`, or `none`."""
    if target["key_kind"] == MANAGED:
        return MANAGED
    if not is_keyed(target):
        return NONE
    holder = target["holder"]
    return holder if holder.startswith("credential:") else OWN


def _number(cost: Decimal | None) -> float | None:
    return None if cost is None else float(cost)
