"""Speeds: how fast calls were answered, as histograms that add up over days and months. Pure.

A histogram counts calls by powers of `STEP`, so that a quantile read from it is off by 2.5 % at most (as in
DDSketch, https://arxiv.org/abs/1908.10693, read 2026-11). Calls that were not streamed are in none.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Document = dict[str, Any]

MEASURES = ("first_token_ms", "output_tokens_per_second")
QUANTILES = {"median": 0.5, "p95": 0.95}
STEP = 1.05

IN_LEDGER: Document = {
    name: {"$push": {"$floor": {"$divide": [{"$ln": f"${name}"}, math.log(STEP)]}}} for name in MEASURES
}
"""The power of each ledger row of a group; None for a row that was not measured."""

Speeds = dict[str, Counter[str]]
"""By measure: how many calls have which power. The powers are text, as the store wants names."""


def counted(found: Mapping[str, Any]) -> Speeds:
    """What `IN_LEDGER` gave, counted."""
    return {
        name: Counter(str(int(power)) for power in found.get(name, ()) if power is not None)
        for name in MEASURES
    }


def fold(
    documents: Iterable[Mapping[str, Any]], key: Callable[[Mapping[str, Any]], Any]
) -> dict[Any, Speeds]:
    """The field `speeds` of documents, added up by `key`. Roll-ups of earlier versions have none."""
    folded: dict[Any, Speeds] = {}
    for document in documents:
        into = folded.setdefault(key(document), {name: Counter() for name in MEASURES})
        for name, counts in document.get("speeds", {}).items():
            into[name].update(counts)
    return folded


def stored(speeds: Speeds) -> Document:
    """Speeds as the store has them: what was not measured takes no room."""
    return {name: dict(counts) for name, counts in speeds.items() if counts}


def shown(speeds: Speeds) -> Document:
    """Speeds as the API shows them: quantiles, or None where nothing was measured."""
    return {
        name: {quantile: _quantile(counts, part) for quantile, part in QUANTILES.items()} if counts else None
        for name, counts in speeds.items()
    }


def _quantile(counts: Mapping[str, int], part: float) -> float:
    """The middle of the power in which the call of this rank lies."""
    rank, seen = math.ceil(part * sum(counts.values())), 0
    for power in sorted(map(int, counts)):
        seen += counts[str(power)]
        if seen >= rank:
            break
    return round(math.pow(STEP, power + 0.5), 1)
