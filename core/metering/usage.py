"""Usage: what was used in a period, read from the roll-ups where days are closed, from the ledger where not.

So the time it takes follows the number of days and groups, not the number of calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo.collection import Collection
from pymongo.database import Database

from core.metering import marks, recent, rollups, sums
from core.metering.periods import Period, dates_of, stretches

Document = dict[str, Any]


@dataclass(frozen=True)
class Usage:
    """`groups`: sums and speeds by `sums.DIMENSIONS`, some of them more than once; `by_date`: sums by local
    date."""

    groups: list[Document]
    by_date: dict[str, Document]

    def total(self) -> Document:
        return sums.fold(self.groups, lambda _: None).get(None) or sums.nothing()

    def by(self, *names: str) -> list[tuple[Document, Document]]:
        """Each combination of the named dimensions with its sums, those with most tokens first."""
        folded = sums.fold(self.groups, lambda group: tuple(group[name] for name in names))
        listed = [(dict(zip(names, key, strict=True)), found) for key, found in folded.items()]
        return sorted(listed, key=lambda one: (-one[1]["tokens_total"], str(one[0])))


def of_workspace(db: Database[Document], workspace_id: str, period: Period) -> Usage:
    """What a whole workspace used."""
    return _Reading(db, workspace_id, None, period).read()


def of_agent(db: Database[Document], workspace_id: str, agent_id: str, period: Period) -> Usage:
    """What one agent used."""
    return _Reading(db, workspace_id, agent_id, period).read()


class _Reading:
    """One question, answered from five collections."""

    def __init__(
        self, db: Database[Document], workspace_id: str, agent_id: str | None, period: Period
    ) -> None:
        self.db = db
        self.workspace_id = workspace_id
        self.agent_id = agent_id
        self.period = period
        self.scope = {"agent_id": agent_id} if agent_id else {"workspace_id": workspace_id}
        self.groups: list[Document] = []
        self.by_date = {date: sums.nothing() for date in period.dates()}

    def read(self) -> Usage:
        whole, edges = self.period.whole_utc_dates(), self.period.edges()
        # First of all: a day that is closed after this line is read from the ledger, which is as good.
        opened = {mark["date"]: mark for mark in marks.opened(self.db.usage_days, self.workspace_id)}
        closed = [date for date in whole if date not in opened]
        self._from_recent([opened[date] for date in whole if date in opened])
        for date, begins, ends in edges:
            if date in opened:
                self._from_recent([opened[date]], begins, ends)
            else:
                self._from_ledger(begins, ends)
        if self.agent_id and self.period.is_utc:
            self._from_days(closed, by_date=True)
        else:
            self._from_days(self._from_months(closed))
            self._from_totals(closed) if self.period.is_utc else self._from_quarters(closed)
        return Usage(self.groups, self.by_date)

    def _from_recent(
        self, days: list[Document], begins: datetime | None = None, ends: datetime | None = None
    ) -> None:
        """Days that are open; of one at an edge what lies in the period, which ends with a quarter."""
        for found in recent.groups(self.db, days, self.agent_id):
            if begins is None or ends is None or begins <= recent.begins(found) < ends:
                self.groups.append(found)
                self._add(self.period.local_date(found["date"], found["quarter"]), found)

    def _from_ledger(self, begins: datetime, ends: datetime) -> None:
        """A part of a day that is closed."""
        within = {"workspace_id": self.workspace_id, "timestamp": {"$gte": begins, "$lt": ends}}
        for found in recent.of_ledger(self.db, within, self.scope):
            self.groups.append(found)
            self._add(self.period.local_date(found["date"], found["quarter"]), found)

    def _from_months(self, closed: list[str]) -> list[str]:
        """Whole months from their roll-up; the dates that remain."""
        done = self.db.usage_months.find({"open": False, "workspace_id": self.workspace_id}, {"month": 1})
        there = set(closed)
        asked = {date[:7] for date in closed}
        months = [
            mark["month"]
            for mark in done
            if mark["month"] in asked and there.issuperset(dates_of(mark["month"]))
        ]
        if months:
            self.groups += self.db.usage_monthly.find({**self.scope, "month": {"$in": months}})
        return [date for date in closed if date[:7] not in months]

    def _from_days(self, dates: list[str], *, by_date: bool = False) -> None:
        for found in self._of_dates(self.db.usage_daily, self.scope, dates):
            self.groups.append(found)
            if by_date:
                self._add(found["date"], found)

    def _from_totals(self, dates: list[str]) -> None:
        for found in self._of_dates(self.db.usage_days, self.scope, dates):
            if "totals" in found:  # a day that was opened just now has none yet
                self._add(found["date"], found["totals"])

    def _from_quarters(self, dates: list[str]) -> None:
        """Parts of three hours that lie in one local day; of those around a midnight the quarters."""
        days = {date: self._local_dates_of_parts(date) for date in dates}
        cut = {part for of_parts in days.values() for part, day in enumerate(of_parts) if day is None}
        size = rollups.QUARTERS_A_PART
        quarters = [n for part in cut for n in range(part * size, (part + 1) * size)]
        shown = dict.fromkeys(["date", "parts", *(f"quarters.{n}" for n in quarters)], 1)
        scope = {"workspace_id": self.workspace_id, "agent_id": self.agent_id or rollups.EVERYBODY}
        for found in self._of_dates(self.db.usage_quarters, scope, dates, shown):
            of_parts = days[found["date"]]
            for part, sums_ in found["parts"].items():
                if (day := of_parts[int(part)]) is not None:
                    self._add(day, sums_)
            for quarter, sums_ in found.get("quarters", {}).items():
                if of_parts[int(quarter) // size] is None:
                    self._add(self.period.local_date(found["date"], int(quarter)), sums_)

    def _local_dates_of_parts(self, date: str) -> list[str | None]:
        """Each part's date in the asker's time zone; None for one with a midnight inside."""
        size = rollups.QUARTERS_A_PART
        ends = [
            (self.period.local_date(date, part * size), self.period.local_date(date, part * size + size - 1))
            for part in range(rollups.PARTS)
        ]
        return [first if first == last else None for first, last in ends]

    @staticmethod
    def _of_dates(
        collection: Collection[Document],
        scope: Mapping[str, Any],
        dates: list[str],
        shown: Mapping[str, Any] | None = None,
    ) -> Iterator[Document]:
        """The documents of these dates, by ranges: a year of `$in` takes the embedded server ten times as
        long."""
        for first, last in stretches(dates):
            yield from collection.find({**scope, "date": {"$gte": first, "$lte": last}}, shown)

    def _add(self, date: str, found: Mapping[str, Any]) -> None:
        sums.add(self.by_date[date], found)


def shown(found: Mapping[str, Any]) -> Document:
    """Sums as the API shows them."""
    cost, status = _cost(found)
    return {
        **{name: found[name] for name in sums.COUNTS if name != "unpriced"},
        "requests_unpriced": found["unpriced"],
        "cost": cost,
        "cost_status": status,
    }


def _cost(found: Mapping[str, Any]) -> tuple[float | None, str]:
    """The known costs' sum; `partial` where some are not known, `unknown` and None where none is.

    By the sums alone, so that totals and their dates never contradict each other.
    """
    cost = float(sums.exact(found["cost"]))
    if found["unpriced"] > 0:
        return (None, "unknown") if found["unpriced"] >= found["requests"] else (cost, "partial")
    if found["requests"] and not cost:
        return cost, "free"
    return cost, "estimated" if found["estimated"] else "known"
