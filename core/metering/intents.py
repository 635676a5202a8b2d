"""Intents: what a job holds of its key's budget changes in two documents, and counts once whatever crashes.

A change is first written into the budget: its amounts, and an intent that names the job (`pending`). It is
committed in the job, by compare-and-set on the nonce of what the job held before. Then the intent is cleared.
The job tells whoever finds an intent what became of it: it was committed; it can still be, and is; or another
change was first, and its amounts are taken back. A later change clears the intent of the one it follows, so
an intent that is there although its job has moved on was never committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from bson.decimal128 import Decimal128
from pymongo import UpdateOne, WriteConcern
from pymongo.database import Database

from core.clock import utcnow
from core.ids import new_mark
from core.jobs.document import Hold, jobs_of
from core.metering.sums import exact

Document = dict[str, Any]
Amounts = Mapping[str, Decimal]
"""USD by date."""

IN_MEMORY = WriteConcern("majority", j=False)
"""A store's log is in order: a job's write, which is journaled, takes what came before it to the disk."""
ABSENT_AFTER = timedelta(seconds=60)
"""A reservation is made just before its job is inserted; after this long the job will not come any more."""


@dataclass(frozen=True)
class Change:
    """What a job holds of one month after it held `before`, and what it has spent by that."""

    job_id: str
    before: Hold | None
    holds: Amounts
    spent: Amounts = field(default_factory=dict)
    nonce: str = field(default_factory=new_mark)

    @property
    def hold(self) -> Hold:
        """As the job has it."""
        return {"nonce": self.nonce, "days": _stored(self.holds)}

    @property
    def used(self) -> dict[str, Decimal]:
        """By how much it changes what is spent or held."""
        held = {} if self.before is None else self.before["days"]
        dates, zero = {*self.holds, *self.spent, *held}, Decimal(0)
        return {d: self.holds.get(d, zero) + self.spent.get(d, zero) - exact(held.get(d)) for d in dates}

    def intent(self, now: datetime) -> Document:
        """As the budget has it: small, since the whole of it is written with each change."""
        known: Document = {"job": self.job_id, "at": now, "holds": _stored(self.holds)}
        if self.spent:
            known["spent"] = _stored(self.spent)
        if self.before is not None:
            known |= {"before": self.before["nonce"], "freed": self.before["days"]}
        return known


def overtaken(db: Database[Document], name: str, changes: Iterable[Change]) -> bool:
    """Has another change of what one of these jobs held before been placed, and not been committed? Then all
    that are under way are brought to their end: what a job holds is freed once. The jobs are read anew.
    """
    freed = {change.before["nonce"] for change in changes if change.before is not None}
    state = (db.budgets.find_one({"_id": name}) if freed else None) or {"pending": {}}
    if not any(intent.get("before") in freed for intent in state["pending"].values()):
        return False
    resolve(db, state)
    return True


def place(
    db: Database[Document],
    name: str,
    changes: Sequence[Change],
    *,
    room: Mapping[str, Any] | None = None,
    more: Mapping[str, Any] | None = None,
    done: Iterable[str] = (),
    now: datetime | None = None,
) -> bool:
    """Write changes into a budget. False: there is no `room`, or no such budget.

    `more`: what else to set. `done`: intents to forget, which were committed. All of it is one write, which
    costs the same however much others hold.
    """
    amounts: dict[str, Decimal] = {}
    for change in changes:
        _add(amounts, change.used, change.spent)
    pending = {f"pending.{change.nonce}": change.intent(now or utcnow()) for change in changes}
    gone = [*done, *(change.before["nonce"] for change in changes if change.before is not None)]
    update: Document = {
        "$inc": {
            **_stored(amounts),
            "moves": len(changes),
            "rev": int(any(change.spent for change in changes)),
        },
        "$set": {**pending, **(more or {})},
    }
    if gone:
        update["$unset"] = {f"pending.{nonce}": "" for nonce in gone}
    kept = db.budgets.with_options(write_concern=IN_MEMORY)
    return kept.update_one({"_id": name, **(room or {})}, update).matched_count == 1


def commit(db: Database[Document], month: str, changes: Sequence[Change]) -> bool:
    """Let the jobs say so. False: some of them have changed otherwise meanwhile."""
    writes = [
        UpdateOne(
            {"_id": change.job_id, **_still(month, change.before and change.before["nonce"])},
            {"$set": {f"holds.{month}": change.hold}},
        )
        for change in changes
    ]
    return db.jobs.bulk_write(writes, ordered=False).matched_count == len(changes)


def clear(db: Database[Document], name: str, nonces: Iterable[str]) -> None:
    """Forget intents that were committed. Safe to repeat."""
    gone = {f"pending.{nonce}": "" for nonce in nonces}
    if gone:
        db.budgets.update_one({"_id": name}, {"$unset": gone})


def take_back(db: Database[Document], name: str, nonce: str, intent: Mapping[str, Any]) -> bool:
    """Undo a change that was not committed, and never will be. In one write, so once."""
    amounts: dict[str, Decimal] = {}
    before: Hold | None = None
    if "before" in intent:
        before = {"nonce": intent["before"], "days": intent["freed"]}
    change = Change(intent["job"], before, _read(intent["holds"]), _read(intent.get("spent", {})))
    _add(amounts, change.used, change.spent, sign=-1)
    undone: Document = {
        "$inc": {**_stored(amounts), "moves": 1, "rev": int(bool(change.spent))},
        "$unset": {f"pending.{nonce}": ""},
    }
    there = {"_id": name, f"pending.{nonce}": {"$exists": True}}
    return db.budgets.update_one(there, undone).modified_count == 1


def resolve(db: Database[Document], state: Mapping[str, Any], now: datetime | None = None) -> int:
    """Bring a budget's intents to their end, as `state` has them; how many were taken back."""
    pending: Mapping[str, Document] = state["pending"]
    if not pending:
        return 0
    name, month = state["_id"], state["month"]
    wanted = {"_id": {"$in": sorted({intent["job"] for intent in pending.values()})}}
    jobs = {job["_id"]: job for job in jobs_of(db).find(wanted, {"holds": 1})}
    done, taken_back = [], 0
    for nonce, intent in pending.items():
        job = jobs.get(intent["job"])
        if job is None:
            late = (now or utcnow()) - intent["at"] > ABSENT_AFTER
            taken_back += late and take_back(db, name, nonce, intent)
            continue
        current = _nonce(job, month)
        if current == intent.get("before"):
            current = _carry_on(db, month, nonce, intent)
        if current == nonce:
            done.append(nonce)
        else:
            taken_back += take_back(db, name, nonce, intent)
    clear(db, name, done)
    return taken_back


def _carry_on(db: Database[Document], month: str, nonce: str, intent: Mapping[str, Any]) -> str | None:
    """Commit for whoever did not come to it; the nonce that the job has then."""
    hold = {"nonce": nonce, "days": intent["holds"]}
    free = {"_id": intent["job"], **_still(month, intent.get("before"))}
    if db.jobs.update_one(free, {"$set": {f"holds.{month}": hold}}).matched_count == 1:
        return nonce
    job = jobs_of(db).find_one({"_id": intent["job"]}, {"holds": 1})
    return None if job is None else _nonce(job, month)


def _nonce(job: Mapping[str, Any], month: str) -> str | None:
    hold = job.get("holds", {}).get(month)
    return None if hold is None else str(hold["nonce"])


def _still(month: str, nonce: str | None) -> Document:
    return {f"holds.{month}.nonce": {"$exists": False} if nonce is None else nonce}


def _add(into: dict[str, Decimal], used: Amounts, spent: Amounts, sign: int = 1) -> None:
    """Sum amounts up by the path of their counter: of the day, and of the month."""
    for kind, amounts in (("used", used), ("spent", spent)):
        for date, usd in amounts.items():
            for path in (kind, f"days.{date}.{kind}"):
                into[path] = into.get(path, Decimal(0)) + sign * usd


def _stored(amounts: Amounts) -> dict[str, Decimal128]:
    return {name: Decimal128(usd) for name, usd in amounts.items()}


def _read(amounts: Mapping[str, Any]) -> dict[str, Decimal]:
    return {name: exact(usd) for name, usd in amounts.items()}
