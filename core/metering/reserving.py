"""Reservations that arrive together travel together: one write of their budget, if there is room for all.

The same write forgets the intents of those before them whose jobs are there by now.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from pymongo.database import Database

from core.jobs.document import Hold
from core.metering import budgets
from core.metering.budget import Budget
from core.metering.intents import Change
from core.store.together import Together

Document = dict[str, Any]

REMEMBERED = 256
"""Jobs whose intents are to be forgotten. Of more than that a look at the jobs tells (`budgets.TIDIED`)."""


@dataclass(frozen=True)
class _Asked:
    budget: Budget
    change: Change
    needed: Decimal
    now: datetime


class Reserving(Together):
    """Of one process. Where a batch does not fit as a whole, each of it is asked for by itself."""

    def __init__(self, db: Database[Document]) -> None:
        super().__init__(db.budgets)
        self.db = db
        self._committed: deque[tuple[str, str]] = deque(maxlen=REMEMBERED)

    def reserve(self, budget: Budget, job_id: str, estimate: Decimal, now: datetime) -> Hold:
        """As `budgets.reserve`."""
        change = Change(job_id, None, {budget.at: estimate})
        self.insert({"asked": _Asked(budget, change, estimate, now)})
        return change.hold

    def committed(self, budget: Budget, hold: Hold) -> None:
        """The job that carries this hold is stored: nobody needs its intent any more."""
        self._committed.append((budget.name, hold["nonce"]))

    def _write(self, batch: Sequence[Any]) -> None:
        by_budget: dict[Budget, list[Any]] = {}
        for one in batch:
            by_budget.setdefault(one.document["asked"].budget, []).append(one)
        for budget, group in by_budget.items():
            asked: list[_Asked] = [one.document["asked"] for one in group]
            total = sum((each.needed for each in asked), Decimal(0))
            changes = [each.change for each in asked]
            done = self._done(budget)
            if not budgets.placed(self.db, budget, changes, total, asked[0].now, done=done):
                self._each(group)

    def _done(self, budget: Budget) -> list[str]:
        """The intents of a budget that its next write forgets."""
        known = [self._committed.popleft() for _ in range(len(self._committed))]
        self._committed.extend(one for one in known if one[0] != budget.name)
        return [nonce for name, nonce in known if name == budget.name]

    def _each(self, group: Sequence[Any]) -> None:
        for one in group:
            asked: _Asked = one.document["asked"]
            try:
                budgets.place(self.db, asked.budget, asked.change, asked.needed, asked.now)
            except Exception as error:  # noqa: BLE001 - whoever waits for it raises it
                one.error = error
