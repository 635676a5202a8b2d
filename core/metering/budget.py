"""Budget: what a key may spend in a period, and the 402 when a limit is used up. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from core.accounts.keys import Caller
from core.clock import rfc3339
from core.errors import BudgetExceeded
from core.metering.periods import DAY, dates_of, month_ends
from core.metering.sums import exact

Document = dict[str, Any]


class OverLimit(BudgetExceeded):
    """402 that names the limit, what is used, and when it resets."""

    def __init__(self, detail: str, *, limit: float, used: float, unit: str, resets_at: datetime) -> None:
        super().__init__(detail)
        self.limit, self.used, self.unit, self.resets_at = limit, used, unit, resets_at

    def as_dict(self) -> Document:
        more = {
            "limit": self.limit,
            "used": self.used,
            "unit": self.unit,
            "resets_at": rfc3339(self.resets_at),
        }
        return super().as_dict() | more


@dataclass(frozen=True)
class Budget:
    """What a key may spend in a period. `_id` of its document: `key:2026-11-24` or `key:2026-11`.

    `workspace_id`: the only one it can spend in; None: an admin's, which may act in all.
    """

    key_id: str
    usd: Decimal
    period: str
    workspace_id: str | None = None

    @property
    def name(self) -> str:
        return f"{self.key_id}:{self.period}"

    @property
    def resets_at(self) -> datetime:
        if len(self.period) == len("2026-11"):
            return month_ends(self.period)
        return datetime.strptime(self.period, "%Y-%m-%d").replace(tzinfo=UTC) + DAY

    def dates(self) -> list[str]:
        return dates_within(self.period)


def dates_within(period: str) -> list[str]:
    """The dates of a day (`2026-11-24`), or of a month (`2026-11`)."""
    return dates_of(period) if len(period) == len("2026-11") else [period]


def of_key(key: Caller, now: datetime) -> Budget | None:
    """The budget of a key for the period that `now` lies in; None: it has none."""
    if key.budget_usd is None:
        return None
    form = "%Y-%m-%d" if key.budget_period == "day" else "%Y-%m"
    workspace_id = None if key.role == "admin" else key.workspace_id
    return Budget(key.key_id, exact(key.budget_usd), f"{now.astimezone(UTC):{form}}", workspace_id)
