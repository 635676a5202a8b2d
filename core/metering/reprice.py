"""Reprice: what a period costs by today's price tables; a dry run with a diff, then correction rows.

Safe to repeat, also after a crash half way through: what was corrected already does not differ any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, cast

from pymongo.database import Database

from core.clock import utcnow
from core.metering import ledger, marks
from core.metering import prices as price_tables
from core.metering.corrections import correction, cost_now
from core.metering.periods import DAY, Period
from core.metering.prices import Prices, Table
from core.metering.row import LedgerRow
from core.metering.sums import exact, plain

Document = dict[str, Any]

TOKENS = ("tokens_input", "tokens_output", "tokens_cached", "tokens_cache_write")


def reprice(
    db: Database[Document], workspace_id: str, during: Period, prices: Prices, *, apply: bool
) -> Document:
    """The difference by model; with `apply` it is entered. Costs are text with all their decimals."""
    own = price_tables.of_workspace(db, workspace_id)
    found: dict[tuple[str, str], Document] = {}
    day = during.start.date()
    while day <= during.end.date():
        calls, corrections = _of_day(db, workspace_id, str(day), during)
        new = list(_differences(calls, corrections, prices, own, found))
        if apply:
            ledger.insert(db, new)
            # Those of earlier runs too: one may have been killed between the rows and their marks.
            marks.raise_for(db, new + [one for ones in corrections.values() for one in ones])
        day += DAY
    models = [_shown(key, one) for key, one in sorted(found.items())]
    return {"workspace_id": workspace_id, "applied": apply, "by_model": models}


def _of_day(
    db: Database[Document], workspace_id: str, day: str, during: Period
) -> tuple[list[LedgerRow], dict[str, list[LedgerRow]]]:
    """The calls of a day, and the corrections that each of them has."""
    calls: list[LedgerRow] = []
    corrections: dict[str, list[LedgerRow]] = {}
    found = db.token_usage.find({"workspace_id": workspace_id, "date": day})
    for row in cast("Iterable[LedgerRow]", found):
        if not during.start <= row["timestamp"] < during.end:
            continue
        if corrected := row.get("corrects"):
            corrections.setdefault(corrected, []).append(row)
        else:
            calls.append(row)
    return calls, corrections


def _differences(
    calls: list[LedgerRow],
    corrections: Mapping[str, list[LedgerRow]],
    prices: Prices,
    own: Table,
    found: dict[tuple[str, str], Document],
) -> Iterator[LedgerRow]:
    """The corrections that a day's calls need, summed up by model in `found` on the way."""
    nothing = {"calls": 0, "priced_anew": 0, "no_longer_known": 0, "before": Decimal(0), "after": Decimal(0)}
    for row in calls:
        earlier = corrections.get(row["_id"], [])
        before = cost_now(row, earlier)
        price = prices.of(_call(row), own)
        fix = correction(row, list(earlier), price, utcnow())
        lost = price.cost is None and before is not None
        if fix is None and not lost:
            continue
        one = found.setdefault((row["provider"], row["model"]), nothing.copy())
        if fix is None:
            one["no_longer_known"] += 1
            continue
        one["calls"] += 1
        one["priced_anew"] += before is None
        one["before"] += before or Decimal(0)
        one["after"] += exact(price.cost)
        yield fix


def _call(row: Mapping[str, Any]) -> Document:
    """A row as the call that a price is asked for."""
    return {
        **{name: row[name] for name in ("provider", "model", "key_kind", "usage_status")},
        "usage": {name: row[name] for name in TOKENS},
        "usage_raw": row.get("usage_raw"),
        "started_at": row["timestamp"],
    }


def _shown(key: tuple[str, str], one: Mapping[str, Any]) -> Document:
    costs = {"before": one["before"], "after": one["after"], "difference": one["after"] - one["before"]}
    counts = {name: one[name] for name in ("calls", "priced_anew", "no_longer_known")}
    return {"provider": key[0], "model": key[1], **counts, **{name: plain(c) for name, c in costs.items()}}
