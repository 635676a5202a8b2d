"""What prompt caching saved, at prices of today: reads cost less than fresh input, writes may be dearer."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from core.metering.prices import NOTHING, Prices, Table
from core.metering.usage import Usage

SAMPLE = 1000
"""Tokens by which a rate is found: a month's sum would be taken for one call, at a long call's price."""


def saved(found: Usage, prices: Prices, own: Table = NOTHING) -> dict[tuple[str, str], Decimal | None]:
    """USD by provider and model; less than nothing where writes cost more than reads saved.

    None where the price is not known. A write for an hour counts as one for five minutes.
    """
    models: dict[tuple[str, str], Decimal | None] = {}
    for key, sums in found.by("provider", "model", "key_kind"):
        model = key["provider"], key["model"]
        before, here = models.get(model, Decimal(0)), _saved(key, sums, prices, own)
        models[model] = None if before is None or here is None else before + here
    return models


def total(models: Mapping[tuple[str, str], Decimal | None]) -> Decimal | None:
    """Of all models together; None if one is not known."""
    known = [amount for amount in models.values() if amount is not None]
    return sum(known, Decimal(0)) if len(known) == len(models) else None


def _saved(key: Mapping[str, Any], sums: Mapping[str, int], prices: Prices, own: Table) -> Decimal | None:
    def rate(**cached: int) -> Decimal | None:
        usage = {"tokens_input": SAMPLE, "tokens_output": 0, **cached}
        return prices.of({**key, "usage": usage}, own).cost

    if not sums["tokens_cached"] and not sums["tokens_cache_write"]:
        return Decimal(0)
    fresh, read, written = rate(), rate(tokens_cached=SAMPLE), rate(tokens_cache_write=SAMPLE)
    if fresh is None or read is None or written is None:
        return None
    less = sums["tokens_cached"] * (fresh - read) + sums["tokens_cache_write"] * (fresh - written)
    return less / SAMPLE
