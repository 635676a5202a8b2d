"""Numbers, money and times in words, for templates. Pure."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from bson.decimal128 import Decimal128
from jinja2 import Environment

from core.clock import rfc3339, utcnow

NOTHING = "–"
UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
CENTS, SMALL = Decimal("0.1"), Decimal("0.001")
SIZES = ("B", "kB", "MB", "GB", "TB")


def register(environment: Environment) -> None:
    """Give templates these filters."""
    environment.filters |= {function.__name__: function for function in FILTERS}


def ago(moment: datetime | str | None) -> str:
    """`3 min ago`, `in 5 s`, `just now`; `now` is what comes next."""
    if moment is None:
        return NOTHING
    seconds = (utcnow() - _parsed(moment)).total_seconds()
    if abs(seconds) < 1:
        return "just now" if seconds >= 0 else "now"
    return f"{span(seconds)} ago" if seconds > 0 else f"in {span(-seconds)}"


def at(moment: datetime | str | None) -> str:
    """`2026-11-24 10:25:00 UTC`."""
    return f"{_parsed(moment):%Y-%m-%d %H:%M:%S} UTC" if moment else NOTHING


def rfc(moment: datetime | str | None) -> str:
    """For machines: the page's script makes the local time of it."""
    return moment if isinstance(moment, str) else rfc3339(moment) or ""


def span(seconds: float | timedelta | None) -> str:
    """A time that passes, in its largest unit: `45 s`, `3 min`, `2 h`, `5 d`."""
    if seconds is None:
        return NOTHING
    value = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
    size, unit = next((row for row in UNITS if value >= row[0]), UNITS[-1])
    return f"{int(value // size)} {unit}"


def millis(value: float | None) -> str:
    """`423 ms`, `4.2 s`, `3 min`."""
    if value is None:
        return NOTHING
    if value < 1000:
        return f"{value:.0f} ms"
    return f"{value / 1000:.1f} s" if value < 60_000 else span(value / 1000)


def number(value: float | None) -> str:
    """`12,345`; `0.25`."""
    if value is None:
        return NOTHING
    if float(value).is_integer() or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def money(usd: float | Decimal | Decimal128 | None) -> str:
    """`$12.40`, `$0.0042`; a price that is unknown is not 0."""
    if usd is None:
        return "unknown"
    value = usd.to_decimal() if isinstance(usd, Decimal128) else Decimal(str(usd))
    if value == 0 or abs(value) >= CENTS:
        return f"${value:,.2f}"
    return f"${value:.4f}" if abs(value) >= SMALL else f"${value:.7f}".rstrip("0").rstrip(".")


def percent(share: float | None) -> str:
    """`99.2 %`, of 0.992."""
    if share is None:
        return NOTHING
    return f"{share * 100:.0f} %" if share in (0, 1) or share >= 10 else f"{share * 100:.1f} %"


def size(count: float | None) -> str:
    """`4.2 MB`."""
    if count is None:
        return NOTHING
    for unit in SIZES:
        if count < 1000 or unit == SIZES[-1]:
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"


def short(identifier: Any) -> str:
    """The last eight characters of an id, those that differ; what it is said to be of stands before them."""
    of, colon, last = str(identifier or NOTHING).rpartition(":")
    return of + colon + last[-8:]


def plural(count: int, one: str, many: str = "") -> str:
    """`1 job`, `2 jobs`."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def words(name: str | None) -> str:
    """`rate_limited` as a person reads it: `rate limited`."""
    return (name or NOTHING).replace("_", " ")


def capitalize_first(text: str) -> str:
    """As a sentence begins; what follows keeps its case."""
    return text[:1].upper() + text[1:]


def _parsed(moment: datetime | str) -> datetime:
    """Of a time as the API tells it, too."""
    return datetime.fromisoformat(moment) if isinstance(moment, str) else moment


def pretty(value: Any) -> str:
    """JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def compact(value: Any) -> str:
    """JSON in one line."""
    return json.dumps(value, ensure_ascii=False, default=str)


FILTERS = (
    compact,
    pretty,
    ago,
    at,
    rfc,
    span,
    millis,
    number,
    money,
    percent,
    size,
    short,
    plural,
    words,
    capitalize_first,
)
