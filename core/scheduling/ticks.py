"""Ticks: what each of the scheduler's ticks did last, when it is next, and asking for one to run now."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import redis
from pymongo.database import Database
from pymongo.errors import NetworkTimeout, NotPrimaryError, ServerSelectionTimeoutError

from core.clock import rfc3339, utcnow
from core.errors import NotFound
from core.store import aside
from core.store.repeat import OUTAGE

Document = dict[str, Any]

NOTED_EVERY_S = 10.0
LATE = timedelta(seconds=3 * NOTED_EVERY_S)
"""Runs are noted, and slots are looked for, so often: a tick that is less late may have run."""
AWAY = frozenset(
    kind.__name__
    for kind in (
        *(*OUTAGE, NetworkTimeout, NotPrimaryError, ServerSelectionTimeoutError),
        *(redis.ConnectionError, redis.TimeoutError),
    )
)
"""What a tick ends with when a store is away."""


class Notes:
    """Writes down the runs that did something or failed, and of the others one every ten seconds."""

    def __init__(self, db: Database[Document], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.db = db
        self.monotonic = monotonic
        self._noted: dict[str, float] = {}

    def note(self, name: str, every_s: float, *, ms: int, result: Document, error: str | None = None) -> None:
        """`result`: what it did, by name; `error`: the kind of exception it ended with."""
        now = self.monotonic()
        quiet = error is None and not any(result.values())
        if quiet and now - self._noted.get(name, -NOTED_EVERY_S) < NOTED_EVERY_S:
            return
        self._noted[name] = now
        ran: Document = {"every_s": every_s, "last_run": utcnow(), "duration_ms": ms, "error": error}
        if not quiet:
            ran |= {"result": result, "last_effect": ran["last_run"]}
        self.db.ticks.update_one({"_id": name}, {"$set": ran}, upsert=True)

    def announce(self, every_s: Mapping[str, float]) -> None:
        """Write down which ticks there are: each is shown, and can be asked for, before it has run."""
        for name, seconds in every_s.items():
            self.db.ticks.update_one({"_id": name}, {"$set": {"every_s": seconds}}, upsert=True)

    def note_under_way(self, since: Mapping[str, datetime]) -> None:
        """Write down since when these ticks are running. No other is: the runs of a dead leader are over."""
        for name, at in since.items():
            self.db.ticks.update_one({"_id": name}, {"$set": {"running_since": at}}, upsert=True)
        ended = {"_id": {"$nin": sorted(since)}, "running_since": {"$ne": None}}
        self.db.ticks.update_many(ended, {"$unset": {"running_since": ""}})


def listed(db: Database[Document]) -> list[Document]:
    """Every tick as the API shows it. `next_run` lies in the past only when no scheduler runs.

    `running_since`: of a run that has taken seconds and goes on, or hangs. `aside`: the documents that it
    could not handle and tries again later.
    """
    kept = aside.listed(db)
    found = sorted(db.ticks.find(), key=lambda tick: str(tick["_id"]))
    return [{**_public(tick), "aside": kept.get(tick["_id"], [])} for tick in found]


def ask(db: Database[Document], name: str) -> None:
    """Ask the leader to run a tick now; it does so within a few seconds. Raises `NotFound`."""
    if db.ticks.update_one({"_id": name}, {"$set": {"asked": True}}).matched_count != 1:
        raise NotFound(f"no tick {name}")


def asked(db: Database[Document]) -> list[str]:
    """The ticks that somebody asked for since the last look."""
    names = [tick["_id"] for tick in db.ticks.find({"asked": True})]
    return [
        name
        for name in names
        if db.ticks.update_one({"_id": name, "asked": True}, {"$unset": {"asked": ""}}).modified_count == 1
    ]


def in_words(error: str | None) -> str | None:
    """How a tick ended, as a person is told."""
    return "a store did not answer; the next run does it" if error in AWAY else error


def _public(tick: Document) -> Document:
    last, every_s = tick.get("last_run"), tick.get("every_s")
    previous = tick.get("done_through") or last  # a slot's own time, where a tick has slots
    shown = {name: tick.get(name) for name in ("every_s", "duration_ms", "error")}
    return {
        "name": tick["_id"],
        **shown,
        "result": tick.get("result") or {},
        "last_run": rfc3339(last),
        "last_effect": rfc3339(tick.get("last_effect")),
        "running_since": rfc3339(tick.get("running_since")),
        "next_run": rfc3339(_next(previous, every_s)) if previous and every_s else None,
    }


def _next(previous: datetime, every_s: float) -> datetime:
    planned, now = previous + timedelta(seconds=every_s), utcnow()
    return max(planned, now) if now - planned < LATE else planned
