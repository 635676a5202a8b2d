"""Budget: what a key may spend in a period, and the 402 when a limit is used up. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from core.accounts.keys import Caller
from core.clock import rfc3339
from core.errors import BudgetExceeded
from core.metering.periods import DAY, month_ends
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
    """What a key may spend in a day (`2026-11-24`) or a month (`2026-11`), `at` one of its days.

    Both are counted in one document a month, so that a key whose period changes keeps what it has spent and
    reserved. `workspace_id`: the only one it can spend in; None: an admin's, which may act in all.
    """

    key_id: str
    usd: Decimal
    period: str
    at: str
    workspace_id: str | None = None

    @property
    def month(self) -> str:
        return month_of(self.at)

    @property
    def name(self) -> str:
        """`_id` of its document."""
        return f"{self.key_id}:{self.month}"

    @property
    def counter(self) -> str:
        """Where its document counts the period: before `spent` and `used`."""
        return "" if self.period == self.month else f"days.{self.period}."

    @property
    def resets_at(self) -> datetime:
        if self.period == self.month:
            return month_ends(self.period)
        return datetime.strptime(self.period, "%Y-%m-%d").replace(tzinfo=UTC) + DAY


def month_of(date: str) -> str:
    """`2026-11` of `2026-11-24`."""
    return date[: len("2026-11")]


def of_key(key: Caller, now: datetime) -> Budget | None:
    """The budget of a key for the period that `now` lies in; None: it has none."""
    if key.budget_usd is None:
        return None
    workspace_id = None if key.role == "admin" else key.workspace_id
    return at(key.key_id, exact(key.budget_usd), key.budget_period, now, workspace_id)


def at(key_id: str, usd: Decimal, per: str | None, now: datetime, workspace_id: str | None) -> Budget:
    """The budget of so much `per` `day` or `month`, for the period that `now` lies in."""
    date = f"{now.astimezone(UTC):%Y-%m-%d}"
    period = date if per == "day" else month_of(date)
    return Budget(key_id, usd, period, date, workspace_id)
