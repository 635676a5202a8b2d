"""A chart of stacked days: which part of each bar is whose, in shares of the tallest. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

SERIES = 7
"""So many names have a colour of their own; what remains is together."""
OTHERS = "others"
STEPS = (1, Decimal("1.5"), 2, 3, 4, 5, 6, 8, 10)
"""Times a power of ten: what a scale may end with."""
HEIGHT = 1000
"""Of the drawing, in its own units."""


@dataclass(frozen=True)
class Part:
    """A part of a bar. `top` and `height` of `HEIGHT`; `series`: the number of its colour."""

    name: str
    value: Any
    top: int
    height: int
    series: int


@dataclass(frozen=True)
class Chart:
    """`names`: what is drawn, by the number of its colour. `most`: what the top of the scale stands for."""

    names: list[str]
    totals: dict[str, Any]
    days: list[tuple[str, Any, list[Part]]]
    most: Any


def stacked(
    dates: Iterable[str], found: Mapping[str, Mapping[str, Mapping[str, Any]]], measure: str
) -> Chart:
    """The chart of `measure` (a field of the sums) by date; the names with most of it first."""
    totals: dict[str, Any] = {}
    for of_day in found.values():
        for name, sums in of_day.items():
            totals[name] = totals.get(name, 0) + sums[measure]
    ranked = sorted((name for name, total in totals.items() if total), key=lambda name: -totals[name])
    names = ranked[:SERIES] + ([OTHERS] if len(ranked) > SERIES else [])
    by_day = [(date, _values(found.get(date, {}), names, measure)) for date in dates]
    most = _round(max((sum(values) for _, values in by_day), default=0))
    days = [(date, sum(values), _parts(names, values, most)) for date, values in by_day]
    return Chart(names, totals, days, most)


def _round(most: Any) -> Any:
    """The top of the scale: the next number that is easily halved."""
    if not most:
        return most
    power = Decimal(10) ** Decimal(most).adjusted()
    return next(step * power for step in STEPS if step * power >= most)


def _values(of_day: Mapping[str, Mapping[str, Any]], names: list[str], measure: str) -> list[Any]:
    """What the day has of each name."""
    values: list[Any] = [Decimal(0) if measure == "cost" else 0 for _ in names]
    for name, sums in of_day.items():
        if sums[measure]:
            values[names.index(name) if name in names else -1] += sums[measure]
    return values


def _parts(names: list[str], values: list[Any], most: Any) -> list[Part]:
    parts, below = [], 0
    for series, (name, value) in enumerate(zip(names, values, strict=True)):
        height = round(HEIGHT * value / most) if most else 0
        if height:
            parts.append(Part(name, value, HEIGHT - below - height, height, series))
            below += height
    return parts
