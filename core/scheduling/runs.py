"""Carrying out ticks: only while this process leads. How a run went is written down; a long run is shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from pymongo.database import Database
from pymongo.errors import PyMongoError

from core.clock import utcnow
from core.scheduling import ticks
from core.scheduling.slots import Effect, Slots
from core.scheduling.ticks import Notes

Document = dict[str, Any]

LONG = timedelta(seconds=5)
LOOK_S = 10.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Tick:
    """`run` returns what it did, by name; it is called every `every_s` seconds while this process leads.

    None: nothing was due. A tick with slots looks each `look_s` if one is due; `at_once` runs it between.
    """

    name: str
    every_s: float
    run: Callable[[], Document | None]
    look_s: float | None = None
    at_once: Callable[[], Document] | None = None


def slotted(db: Database[Document], name: str, every_s: float, effect: Effect) -> Tick:
    """A tick of a minute or longer: each of its times happens once, whoever leads."""
    slots = Slots(db, name, timedelta(seconds=every_s), effect)
    return Tick(name, every_s, slots.run, LOOK_S, lambda: effect(utcnow()))


class Runs:
    """The ticks of one process, each called from a thread of its own. `may_act()`: does this process lead?"""

    def __init__(self, db: Database[Document], table: Sequence[Tick], *, may_act: Callable[[], bool]) -> None:
        self.db = db
        self.table = {tick.name: tick for tick in table}
        if len(self.table) < len(table):
            raise ValueError("two ticks of the scheduler's table have the same name")
        self.may_act = may_act
        self.notes = Notes(db)
        self.since: dict[str, datetime] = {}
        """When each run under way began, by the tick's name."""
        self._asked: set[str] = set()
        self._announced = False

    def run(self, name: str) -> None:
        """Carry out a tick, unless another process leads. Never raises for what a tick may do."""
        if not self.may_act():
            return
        self.since[name] = utcnow()
        try:
            guarded(name, lambda: self._noted(self.table[name]))
        finally:
            del self.since[name]

    def look(self) -> list[str]:
        """Write down what there is, and which runs take long. Returns the ticks that were asked for."""
        if not self.may_act():
            return []
        if not self._announced:
            self.notes.announce({name: tick.every_s for name, tick in self.table.items()})
            self._announced = True
        long_ago = utcnow() - LONG
        self.notes.note_under_way({name: at for name, at in list(self.since.items()) if at < long_ago})
        asked = [name for name in ticks.asked(self.db) if name in self.table]
        self._asked.update(asked)
        return asked

    def ended_within(self, seconds: float) -> bool:
        """Wait for the runs under way. False: some have not ended."""
        deadline = time.monotonic() + seconds
        while self.since and time.monotonic() < deadline:
            time.sleep(0.05)
        return not self.since

    def _noted(self, tick: Tick) -> Document | None:
        """Run a tick and write down how it went."""
        act = tick.at_once if tick.name in self._asked and tick.at_once else tick.run
        self._asked.discard(tick.name)
        started, done, error = time.monotonic(), None, None
        try:
            done = act()
        except Exception as problem:
            error = type(problem).__name__
            raise
        finally:
            if done is not None or error is not None:
                ms = int((time.monotonic() - started) * 1000)
                self.notes.note(tick.name, tick.every_s, ms=ms, result=done or {}, error=error)
        return done


def guarded(name: str, act: Callable[[], Any]) -> None:
    """Call `act`. What it did is logged, and so is its failure, which is not raised: the next time comes."""
    started = time.monotonic()
    try:
        done = act()
    except PyMongoError as error:
        log.warning("tick.store_away", tick=name, error=type(error).__name__)
    except Exception:
        log.exception("tick.failed", tick=name)
    else:
        if isinstance(done, dict) and any(done.values()):
            log.info("tick.done", tick=name, ms=int((time.monotonic() - started) * 1000), **done)
