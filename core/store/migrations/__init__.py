"""Upgrades: the steps that bring a database which an earlier version wrote to this one.

A step is a file here and a row of `STEPS`; its number is its place there and stays for good. It changes
only what still has the older shape, so it may be killed, repeated, and carried out by several processes at
once. What a step has brought about, the rest of the code takes for granted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from core.clock import utcnow
from core.store import indexes
from core.store.migrations import (
    fences,
    holds,
    idempotency_marks,
    job_marks,
    names,
    old_indexes,
    references,
    slots,
)
from core.store.repeat import once_it_answers

Document = dict[str, Any]
Step = Callable[[Database[Document]], None]

STEPS: tuple[tuple[str, Step], ...] = (
    ("idempotency_marks", idempotency_marks.run),
    ("old_indexes", old_indexes.run),
    ("fences", fences.run),
    ("slots", slots.run),
    ("references", references.run),
    ("names", names.run),
    ("holds", holds.run),
    ("expiring_indexes", old_indexes.run),
    ("job_marks", job_marks.run),
    ("job_indexes", old_indexes.run),
    ("job_places", old_indexes.run),
)
LOOK_S = 0.5
TOLD_AFTER = 20
"""Looks: a first start takes less."""

log = structlog.get_logger(__name__)


class NewerStore(Exception):
    """A later version wrote this database; the text is one line for a terminal."""


def prepare(db: Database[Document]) -> None:
    """Carry out the steps that are missing, then make the indexes. For the web process, before it serves.

    Waits for a store that is still starting. Raises `NewerStore`, and `PyMongoError` when its patience ends.
    """
    once_it_answers(partial(upgrade, db))
    once_it_answers(partial(indexes.ensure, db))


def wait_until_prepared(db: Database[Document]) -> None:
    """Wait for the web process to have done so. For all others, before their first read. Raises as above."""
    looks = 0
    while once_it_answers(partial(reached, db)) < len(STEPS):
        looks += 1
        if looks % TOLD_AFTER == 0:
            log.info("store.waits_for_upgrade")
        time.sleep(LOOK_S)


def upgrade(db: Database[Document], steps: tuple[tuple[str, Step], ...] = STEPS) -> None:
    """Carry out the steps that are missing, and note each when it is done. Raises `NewerStore`."""
    done, started = reached(db, steps), time.monotonic()
    for number, (name, run) in list(enumerate(steps, start=1))[done:]:
        run(db)
        _note(db, number, name)
    if done < len(steps):
        ms = int((time.monotonic() - started) * 1000)
        log.info("store.upgraded", before=done, now=len(steps), ms=ms)


def reached(db: Database[Document], steps: tuple[tuple[str, Step], ...] = STEPS) -> int:
    """The number of the last step that was carried out; 0: none. Raises `NewerStore`."""
    last = max((step["_id"] for step in db.migrations.find({}, {"_id": 1})), default=0)
    if last > len(steps):
        raise NewerStore(
            f"the database {db.name} is of version {last}, and this program knows {len(steps)}:"
            " start the program that wrote it, or a later one"
        )
    return int(last)


def _note(db: Database[Document], number: int, name: str) -> None:
    try:
        db.migrations.insert_one({"_id": number, "name": name, "done_at": utcnow()})
    except DuplicateKeyError:
        log.debug("store.another_process_was_first", step=number)
