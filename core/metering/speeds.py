"""Speeds: how fast calls were answered, as sketches that add up over days and months. Pure.

Calls that were not streamed are in none.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from core import sketch

Document = dict[str, Any]

MEASURES = ("first_token_ms", "output_tokens_per_second")
QUANTILES = {"median": 0.5, "p95": 0.95}

IN_LEDGER: Document = {
    name: {"$push": {"$floor": {"$divide": [{"$ln": f"${name}"}, math.log(sketch.STEP)]}}}
    for name in MEASURES
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
        name: {quantile: sketch.quantile(counts, part) for quantile, part in QUANTILES.items()}
        if counts
        else None
        for name, counts in speeds.items()
    }
