"""Sketches: how many values fell into each of a set of ranges that grow by a twentieth. Pure.

Sketches can be added up, so the p95 of a month comes from its days. A quantile read from one is off by 2.5 %
at most (as in DDSketch, https://arxiv.org/abs/1908.10693, read 2026-11).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

Sketch = dict[str, int]
"""How many, by the number of the range, a power of `STEP`. The store wants names that are text."""

STEP = 1.05
LONGEST = 384
"""The last range of durations: longer than 37 hours."""


def of(durations_ms: Iterable[int]) -> Sketch:
    """The sketch of these durations, in milliseconds."""
    return merged({str(_range(ms)): 1} for ms in durations_ms)


def merged(sketches: Iterable[Mapping[str, int]]) -> Sketch:
    """Sketches added up."""
    whole: Sketch = {}
    for sketch in sketches:
        for name, n in sketch.items():
            whole[name] = whole.get(name, 0) + n
    return whole


def quantile(sketch: Mapping[str, int], share: float) -> float | None:
    """The value that this share (0 to 1) stays within, the middle of its range; None of nothing."""
    rank, seen = math.ceil(share * sum(sketch.values())), 0
    for power in sorted(map(int, sketch)):
        seen += sketch[str(power)]
        if seen >= rank:
            return round(math.pow(STEP, power + 0.5), 1)
    return None


def _range(ms: int) -> int:
    return min(math.floor(math.log(max(ms, 1), STEP)), LONGEST)
