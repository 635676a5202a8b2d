"""Reservations travel with the inserts of their jobs: a batch is one write of a budget, then one of jobs.

The write of a budget also forgets the intents of those before them whose jobs are there by now.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from pymongo.database import Database
from pymongo.errors import AutoReconnect, ConnectionFailure

from core.metering import budgets
from core.metering.budget import Budget
from core.metering.intents import Change
from core.services import Insert
from core.store.together import Together

Document = dict[str, Any]

REMEMBERED = 256
"""Jobs whose intents are to be forgotten. Of more than that a look at the jobs tells (`budgets.tick`)."""


@dataclass
class Reservation:
    """What a job is to hold of its key's budget when it is stored. `held`: it does, whatever became of it."""

    budget: Budget
    change: Change
    needed: Decimal
    now: datetime
    held: bool = False


class _NoRoom(Exception):
    """A batch does not fit as a whole: each of it is asked for by itself."""


class Reserving(Together):
    """The inserts of jobs under a budget, with what they reserve; of one process."""

    def __init__(self, db: Database[Document]) -> None:
        super().__init__(db.jobs)
        self.db = db
        self._one_by_one = threading.Lock()
        self._committed: deque[tuple[str, str]] = deque(maxlen=REMEMBERED)

    def insert_of(self, asked: Reservation) -> Insert:
        """What inserts the job of a reservation. May be called again, and holds it once.

        It raises what `insert_one` does, and `OverLimit`: then nothing is held, and nothing stored.
        """
        return partial(self._insert_held, asked)

    def _insert_held(self, asked: Reservation, document: Document) -> None:
        try:
            self.insert(document, asked)
        except _NoRoom:
            with self._one_by_one, _once():
                budgets.place(self.db, asked.budget, asked.change, asked.needed, asked.now)
            asked.held = True
            self.insert(document, asked)

    def carry(self, batch: Sequence[Any]) -> None:
        by_budget: dict[Budget, list[Any]] = {}
        for one in batch:
            if not one.also.held:
                by_budget.setdefault(one.also.budget, []).append(one)
        for budget, group in by_budget.items():
            error = self._hold(budget, [one.also for one in group])
            for one in group:
                one.error = error
        insert = [one for one in batch if one.error is None]
        if insert:
            super().carry(insert)
        stored = [one.also for one in insert if one.error is None]
        self._committed.extend((each.budget.name, each.change.nonce) for each in stored)

    def _hold(self, budget: Budget, asked: list[Reservation]) -> Exception | None:
        """Hold what fits together. What one budget's write raises is nothing to the others of a batch."""
        total = sum((each.needed for each in asked), Decimal(0))
        changes, done = [each.change for each in asked], self._done(budget)
        try:
            with _once():
                held = budgets.placed(self.db, budget, changes, total, asked[0].now, done=done)
        except Exception as error:  # noqa: BLE001 - whoever waits for it raises it
            return error
        for each in asked:
            each.held = held
        return None if held else _NoRoom()

    def _done(self, budget: Budget) -> list[str]:
        """The intents of a budget that its next write forgets."""
        known = [self._committed.popleft() for _ in range(len(self._committed))]
        self._committed.extend(one for one in known if one[0] != budget.name)
        return [nonce for name, nonce in known if name == budget.name]


@contextmanager
def _once() -> Iterator[None]:
    """An insert is repeated when its reply is lost. What is reserved again would be reserved twice."""
    try:
        yield
    except AutoReconnect as error:
        raise ConnectionFailure(f"nobody knows what was reserved: {error}") from error
