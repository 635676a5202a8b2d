"""Sums over ledger rows: which fields are added up, how documents are folded together. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from bson.decimal128 import Decimal128

from core.llm.records import OK

Document = dict[str, Any]

COUNTS = (
    "requests",
    "failed",
    "estimated",
    "unpriced",
    "tokens_input",
    "tokens_output",
    "tokens_total",
    "tokens_cached",
    "tokens_cache_write",
    "tokens_reasoning",
)
"""`failed`: calls that used tokens and gave no answer; `unpriced`: calls whose price is not known."""

DIMENSIONS = ("agent_id", "provider", "model", "tier", "key_kind")

IN_LEDGER: Document = {
    "requests": "$requests",
    "failed": {"$cond": [{"$eq": ["$outcome", OK]}, 0, "$requests"]},
    "estimated": {"$cond": [{"$eq": ["$usage_status", "estimated"]}, "$requests", 0]},
    "unpriced": "$unpriced",
    **{name: f"${name}" for name in COUNTS if name.startswith("tokens_")},
    "cost": {"$ifNull": ["$cost", Decimal128("0")]},
}
"""How each sum is read from a ledger row, as an aggregation's expressions."""


def nothing() -> Document:
    """The sum of no rows."""
    return {**dict.fromkeys(COUNTS, 0), "cost": Decimal(0)}


def add(into: Document, more: Mapping[str, Any]) -> None:
    """Add a document of sums to another, in place."""
    for name in COUNTS:
        into[name] += more[name]
    into["cost"] += exact(more["cost"])


def fold(
    documents: Iterable[Mapping[str, Any]], key: Callable[[Mapping[str, Any]], Any]
) -> dict[Any, Document]:
    """Documents of sums added up by `key`."""
    folded: dict[Any, Document] = {}
    for document in documents:
        add(folded.setdefault(key(document), nothing()), document)
    return folded


def stored(sums: Mapping[str, Any]) -> Document:
    """Sums as the store has them."""
    return {**{name: sums[name] for name in COUNTS}, "cost": Decimal128(sums["cost"])}


def exact(value: Any) -> Decimal:
    """A cost from the store as a Decimal; None is none."""
    if value is None:
        return Decimal(0)
    return value.to_decimal() if isinstance(value, Decimal128) else Decimal(value)


def plain(value: Any) -> str:
    """A cost as text: all its decimals, no exponent, no zeros at its end."""
    text = f"{exact(value):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
