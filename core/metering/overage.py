"""Overage: what an agent used above its tier's allowance in a month; a projection of the ledger. Pure.

Rows count in the order `(timestamp, _id)`. The call that straddles the limit is split. The same rows give the
same projection in whatever order, however often they came, so late rows, repeats and crashes change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from core.metering.sums import exact

Document = dict[str, Any]

EXACT = Decimal("1e-15")
"""Overage costs are rounded to this: a third of a call's cost has no exact decimal."""


@dataclass(frozen=True)
class Projection:
    """`used` = `within` + `above`, always; `within` is never more than the allowance."""

    allowance: int
    within: int
    above: int
    rows: list[Document]

    @property
    def used(self) -> int:
        return self.within + self.above


def project(allowance: int, rows: Iterable[Mapping[str, Any]], *, used_before: int = 0) -> Projection:
    """The overage of ledger rows of one agent, tier and month.

    `used_before`: tokens of earlier rows which are left out, none of them above the allowance.
    Rows that are not kept do not count. A correction changes the cost of the call it corrects.
    """
    calls, corrections = _told_apart(rows)
    used, above, found = used_before, 0, []
    for row in sorted(calls.values(), key=lambda row: (row["timestamp"], row["_id"])):
        before, used = used, used + row["tokens_total"]
        over = used - max(allowance, before)
        if over > 0:
            above += over
            found.append(_overage(row, over, corrections.get(row["_id"])))
    return Projection(allowance, used - above, above, found)


def _told_apart(rows: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Mapping[str, Any]], dict[str, Decimal]]:
    calls: dict[str, Mapping[str, Any]] = {}
    corrected: dict[str, dict[str, Decimal]] = {}
    for row in rows:
        if not row["kept"]:
            continue
        if row.get("corrects"):
            corrected.setdefault(row["corrects"], {})[row["_id"]] = exact(row["cost"])
        else:
            calls[row["_id"]] = row
    return calls, {name: sum(found.values(), Decimal(0)) for name, found in corrected.items()}


def _overage(row: Mapping[str, Any], tokens: int, correction: Decimal | None) -> Document:
    """One overage row: the call's cost times its overage tokens over its tokens; None while it is unknown."""
    cost = None
    if row["cost"] is not None or correction is not None:
        whole = exact(row["cost"]) + (correction or Decimal(0))
        cost = (
            (whole * tokens / row["tokens_total"]).quantize(EXACT) if tokens < row["tokens_total"] else whole
        )
    return {
        "_id": row["_id"],
        "workspace_id": row["workspace_id"],
        "agent_id": row["agent_id"],
        "job_id": row["job_id"],
        "tier": row["tier"],
        "provider": row["provider"],
        "model": row["model"],
        "month": row["month"],
        "created_at": row["timestamp"],
        "tokens_total": row["tokens_total"],
        "tokens_overage": tokens,
        "cost": cost,
    }
