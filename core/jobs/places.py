"""Places: a job that ends in a process of many takes the next number of that process's row as its mark.

By the numbers the ledger knows how far it has come in each row, and need not write to a job that it has
entered: see `core.metering.entered`. A number is given again when it is sure that nobody has it, so a row has
no gaps for good as long as what became of its ends is known.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final

from core.jobs.document import Job

DUE: Final = "due"
"""The mark of a job without a place: the ledger takes it away."""
STUCK: Final = "stuck"
"""The mark that an earlier version gave to what it could not enter. Nobody waits for it."""
DIGITS = 12
LAST: Final = 10**DIGITS - 1
AT_ONCE = 20
"""Places of a process that are taken and not stored. Ends are written fewer at a time, but in an outage more
begin; what ends beyond them is `due`. So a row has at most so many gaps."""


class Places:
    """The row of this process, for greenlets of one thread.

    `fresh()`: is it sure that this process was not declared dead? Only then a place is taken, while the job
    is this process's own. So a row whose process is dead, and has no running job, has nobody to come.
    """

    def __init__(self, process_id: str, fresh: Callable[[], bool]) -> None:
        self._process_id = process_id
        self._fresh = fresh
        self._next = 1
        self._given_back: list[int] = []
        self._in_doubt = False
        self._taken: dict[str | None, int | None] = {}

    def take(self, job: Job) -> str | None:
        """The place of a job that is about to end, the same at each try of a claim; None: it has to be `due`.

        One that holds a part of a budget is: the ledger has to write to it all the same.
        """
        claim = job["fence"]
        if claim not in self._taken:
            barred = self._in_doubt or self._open >= AT_ONCE or job.get("holds") or not self._fresh()
            self._taken[claim] = None if barred else self._number()
        number = self._taken[claim]
        return None if number is None else place(self._process_id, number)

    def told(self, job: Job, *, kept: bool | None) -> None:
        """What became of this job's end: it is stored, or never will be. None: nobody knows, and from now on
        no place is taken, since the row may have a gap."""
        number = self._taken.pop(job["fence"], None)
        if number is None or kept:
            return
        if kept is None:
            self._in_doubt = True
        else:
            heappush(self._given_back, number)

    @property
    def _open(self) -> int:
        return sum(number is not None for number in self._taken.values())

    def _number(self) -> int:
        if self._given_back:
            return heappop(self._given_back)
        self._next += 1
        return self._next - 1


def place(process_id: str, number: int) -> str:
    """How a place is written. The index has those of a process in the order of their numbers."""
    return f"{process_id}/{number:0{DIGITS}}"


def read(mark: object) -> tuple[str, int] | None:
    """The process and the number of a place; None: it is none."""
    if not isinstance(mark, str):
        return None
    process_id, _, number = mark.rpartition("/")
    is_one = process_id and len(number) == DIGITS and number.isascii() and number.isdecimal()
    return (process_id, int(number)) if is_one else None
