"""How far the ledger has come in the row of each process, as the collection `processes` keeps it.

`entered`: up to this number all are. `in_line`: true for as long as more may come; after that all are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import inf
from typing import Any

from pymongo.database import Database

from core.jobs.document import Job, jobs_of
from core.jobs.model import RUNNING
from core.jobs.places import AT_ONCE, LAST, STUCK, place, read

Document = dict[str, Any]


class Row:
    """How far the ledger is in one row. `last`: the highest number; `gaps`: those that lack below it."""

    def __init__(self) -> None:
        self.last = 0
        self.gaps: set[int] = set()
        self.over = False

    @property
    def entered(self) -> int:
        return min(self.gaps) - 1 if self.gaps else self.last

    def skip(self, entered: int) -> None:
        """All up to this number are in the ledger, by whomever."""
        self.last = max(self.last, entered)
        self.gaps = {number for number in self.gaps if number > entered}

    def note(self, number: int) -> None:
        """This one is in the ledger."""
        self.gaps.update(range(self.last + 1, number))
        self.gaps.discard(number)
        self.last = max(self.last, number)


class Entered:
    """The rows, as the ledger goes along them. What it remembers between ticks spares it work, no more:
    another leader begins where `processes` says, and what is entered twice is entered once."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._saved: dict[str, int] = {}

    def look(self, db: Database[Document]) -> None:
        """Read which rows there are, and to which nobody comes any more. Jobs are to be read after this."""
        shown = {"entered": 1, "dead": 1}
        found = {one["_id"]: one for one in db.processes.find({"in_line": True}, shown)}
        self._saved = {name: _up_to(one) for name, one in found.items()}
        dead = [name for name, one in found.items() if one.get("dead") is True]
        working = _working(db, dead) if dead else set()
        self._rows = {name: self._rows.get(name) or Row() for name in found}
        for name, row in self._rows.items():
            row.skip(self._saved[name])
            row.over = name in dead and name not in working

    def waiting(self, db: Database[Document], limit: int, shown: Mapping[str, int]) -> Iterator[Job]:
        """Jobs that are next in their rows, of each at most `limit`, and those that were late."""
        for name, row in self._rows.items():
            after = {"$gt": place(name, row.last), "$lte": place(name, row.last + limit)}
            yield from jobs_of(db).find({"meter": after}, shown)
            # One by one: asked for several, the embedded server looks at all jobs. A living process leaves no
            # more of them; of one that has nobody to come, each is asked for once more before that is said.
            for number in sorted(row.gaps)[: None if row.over else AT_ONCE]:
                yield from jobs_of(db).find({"meter": place(name, number)}, shown)

    def note(self, jobs: Iterable[Job]) -> None:
        """These are in the ledger, or wait for it as `due`, which may be with a place."""
        for job in jobs:
            at = read(job.get("place"))
            if at is not None and at[0] in self._rows:
                self._rows[at[0]].note(at[1])
                self._rows[at[0]].over = False  # it may not have been the last

    def save(self, db: Database[Document]) -> None:
        """Write down how far it is, in all rows that went on or are at their end."""
        for name, row in self._rows.items():
            following = _following(db, name, row.last) if row.over else None
            if following is not None:
                row.skip(following - 1)  # nobody comes to what lacks before it
            if row.over and following is None:
                db.processes.update_one({"_id": name}, {"$set": {"in_line": False}})
            elif row.entered > self._saved[name]:
                db.processes.update_one({"_id": name}, {"$max": {"entered": row.entered}})


def waits(db: Database[Document]) -> Callable[[Mapping[str, Any]], bool]:
    """Tells of a job that was read whether it is still to be entered. It remembers the rows that it has read.

    The row is to be read after the job: a job of a process that is not in line was entered.
    """
    rows: dict[str, float] = {}

    def waiting(job: Mapping[str, Any]) -> bool:
        at = read(job.get("meter"))
        if at is None:  # `due`, or nobody knows what
            return job.get("meter") not in (None, STUCK)
        name, number = at
        if number > rows.get(name, 0):
            found = db.processes.find_one({"_id": name, "in_line": True}, {"entered": 1})
            rows[name] = inf if found is None else _up_to(found)
        return number > rows[name]

    return waiting


def _up_to(process: Mapping[str, Any]) -> int:
    """Up to which place all are entered. A document that says it oddly has none: they are entered again."""
    said = process.get("entered")
    return said if type(said) is int and 0 <= said <= LAST else 0


def _working(db: Database[Document], processes: list[str]) -> set[str]:
    """Those to which a running job belongs: they may still end it, as far as anybody knows."""
    running = list(jobs_of(db).find({"status": RUNNING}, {"owner": 1}))
    return {name for name in processes if any(job.get("owner") == name for job in running)}


def _following(db: Database[Document], name: str, last: int) -> int | None:
    """The next number in this row, if there is one."""
    beyond = {"$gt": place(name, last), "$lte": place(name, LAST)}
    found = (read(job.get("meter")) for job in jobs_of(db).find({"meter": beyond}, {"meter": 1}))
    return min((at[1] for at in found if at is not None), default=None)
