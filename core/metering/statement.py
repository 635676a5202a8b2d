"""Statement: what a workspace's month comes to, as JSON and CSV; the same ledger gives the same bytes. Pure.

Due are the price of each tier that an agent used and what is above its allowance. What was used is listed
too: calls on keys of one's own are paid to their provider.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from core.clock import rfc3339
from core.metering import export
from core.metering.periods import of_month
from core.metering.sums import COUNTS, exact, plain
from core.metering.usage import Usage

Document = dict[str, Any]

CENT = Decimal("0.01")
USED = ("agent_id", "provider", "model", "tier", "key_kind")
COLUMNS = (
    "line",
    "due",
    "agent_id",
    "tier",
    "provider",
    "model",
    "key_kind",
    "requests",
    "requests_unpriced",
    "tokens_input",
    "tokens_output",
    "tokens_total",
    "tokens_allowed",
    "tokens_overage",
    "amount_usd",
)
"""Of the CSV. `due`: this line's amount is part of the total; the line `total` is rounded to cents."""


def content(
    workspace_id: str,
    month: str,
    used: Usage,
    allowances: Iterable[Mapping[str, Any]],
    overages: Mapping[tuple[str, str], Mapping[str, Any]],
    tier_prices: Mapping[str, Any],
    *,
    over: bool,
) -> Document:
    """The statement. `over`: the month has ended; a statement before that is not complete.

    Amounts are text with all their decimals; None where a price is not known.

    `allowances`: agent_id, tier, allowance, used, overage; `overages`, by agent and tier: cost, calls,
    unpriced.
    """
    during = of_month(month)
    tiers = [_tier(mark, overages, tier_prices) for mark in allowances]
    tiers.sort(key=lambda line: (line["agent_id"], line["tier"]))
    lines = [{**key, **_used(sums)} for key, sums in used.by(*USED)]
    lines.sort(key=lambda line: tuple(line[name] for name in USED))
    return {
        "workspace_id": workspace_id,
        "month": month,
        "from": rfc3339(during.start),
        "to": rfc3339(during.end),
        "currency": "USD",
        "tiers": tiers,
        "usage": lines,
        "total": _total(tiers, lines, over),
    }


def encoded(statement: Mapping[str, Any]) -> bytes:
    """As JSON, always the same for the same content."""
    return json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(body: bytes) -> str:
    """The SHA-256 by which a statement is known to be unchanged."""
    return hashlib.sha256(body).hexdigest()


def comma_separated(statement: Mapping[str, Any]) -> Iterator[bytes]:
    """As CSV: a line for each tier, its overage, each kind of use, and the total."""
    yield export.line(COLUMNS)
    for line in _lines(statement):
        yield export.line([line.get(name) for name in COLUMNS])


def _lines(statement: Mapping[str, Any]) -> Iterator[Document]:
    for tier in statement["tiers"]:
        of = {name: tier[name] for name in ("agent_id", "tier")}
        tokens = {"tokens_total": tier["tokens_used"], "tokens_allowed": tier["tokens_allowed"]}
        yield {"line": "tier", "due": True, **of, **tokens, "amount_usd": tier["price_usd"]}
        if tier["tokens_overage"]:
            counts = {
                "requests": tier["overage_calls"],
                "requests_unpriced": tier["overage_calls_unpriced"],
                "tokens_overage": tier["tokens_overage"],
            }
            yield {"line": "overage", "due": True, **of, **counts, "amount_usd": tier["overage_usd"]}
    for used in statement["usage"]:
        yield {"line": "usage", "due": False, **used, "amount_usd": used["cost_usd"]}
    yield {"line": "total", "due": True, "amount_usd": statement["total"]["due_usd"]}


def _tier(
    mark: Mapping[str, Any],
    overages: Mapping[tuple[str, str], Mapping[str, Any]],
    tier_prices: Mapping[str, Any],
) -> Document:
    price = tier_prices.get(mark["tier"])
    above = overages.get((mark["agent_id"], mark["tier"]), {"cost": Decimal(0), "calls": 0, "unpriced": 0})
    return {
        "agent_id": mark["agent_id"],
        "tier": mark["tier"],
        "price_usd": None if price is None else plain(str(price)),
        "tokens_allowed": mark["allowance"],
        "tokens_used": mark["used"],
        "tokens_overage": mark["overage"],
        "overage_usd": _amount(above["cost"], above["unpriced"], above["calls"]),
        "overage_calls": above["calls"],
        "overage_calls_unpriced": above["unpriced"],
    }


def _used(sums: Mapping[str, Any]) -> Document:
    return {
        **{name: sums[name] for name in COUNTS if name != "unpriced"},
        "requests_unpriced": sums["unpriced"],
        "cost_usd": _amount(sums["cost"], sums["unpriced"], sums["requests"]),
    }


def _amount(cost: Any, unpriced: int, of: int) -> str | None:
    """What is known of a cost; None where nothing is."""
    return None if unpriced and unpriced >= of else plain(cost)


def _total(tiers: list[Document], used: list[Document], over: bool) -> Document:
    prices = sum((exact(tier["price_usd"]) for tier in tiers), Decimal(0))
    above = sum((exact(tier["overage_usd"]) for tier in tiers), Decimal(0))
    unpriced = sum(tier["overage_calls_unpriced"] for tier in tiers)
    return {
        "tiers_usd": plain(prices),
        "overage_usd": plain(above),
        "due_usd": f"{(prices + above).quantize(CENT, ROUND_HALF_UP):f}",
        "complete": over and not unpriced and all(tier["price_usd"] is not None for tier in tiers),
        "overage_calls_unpriced": unpriced,
        "requests": sum(line["requests"] for line in used),
        "tokens_total": sum(line["tokens_total"] for line in used),
        "cost_usd": plain(sum((exact(line["cost_usd"]) for line in used), Decimal(0))),
    }
