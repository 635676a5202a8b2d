"""Marks: what must be computed again. Entering rows raises a mark's `rev`; computing closes it at that rev.

Collections of marks: `usage_days` (workspace, date), `usage_recent` (a quarter of an hour of a day),
`usage_months` (workspace, month) and `usage_allowances` (agent, tier, month). A mark is open from the moment
its rows are in the ledger until somebody has read them all, so what a closed mark stands for may be read from
what was computed. A month that is not `stated` has no statement yet, or one without what came in since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from pymongo import UpdateOne
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from core.llm.managed import MANAGED
from core.metering.row import LedgerRow
from core.store.repeat import write_missing

Document = dict[str, Any]

LATE = timedelta(days=1)
"""What is entered later than this after its call is not looked for by the quarters of its day."""


def raise_for(db: Database[Document], rows: Iterable[LedgerRow]) -> None:
    """Open the marks of rows that are in the ledger; safe to repeat, at the price of computing again."""
    days, recent, months, allowances = {}, {}, {}, {}
    late = set()
    for row in rows:
        if not row["kept"]:
            continue
        workspace, date, month = row["workspace_id"], row["date"], row["month"]
        name = f"{workspace}:{date}"
        days[name] = {"workspace_id": workspace, "date": date, "month": month}
        quarter = row["timestamp"].hour * 4 + row["timestamp"].minute // 15
        if row["entered_at"] - row["timestamp"] > LATE:
            late.add(name)
        else:
            recent[f"{name}:{quarter:02}"] = {"workspace_id": workspace, "date": date, "quarter": quarter}
        months[f"{workspace}:{month}"] = {"workspace_id": workspace, "month": month, "stated": False}
        if row["key_kind"] == MANAGED:
            mark = {
                "workspace_id": workspace,
                "agent_id": row["agent_id"],
                "tier": row["tier"],
                "month": month,
            }
            allowances[f"{row['agent_id']}:{row['tier']}:{month}"] = mark
    _open(db.usage_recent, recent)
    # A day of which a quarter has no mark is not read by quarters: from its next opening on, if ever.
    _open(db.usage_days, {name: {**of, "quarters": False} for name, of in days.items() if name in late})
    _open(db.usage_days, {name: of for name, of in days.items() if name not in late}, {"quarters": True})
    _open(db.usage_months, months)
    _open(db.usage_allowances, allowances)


def opened(collection: Collection[Document], workspace_id: str) -> list[Document]:
    """A workspace's open marks."""
    return list(collection.find({"open": True, "workspace_id": workspace_id}))


def close(collection: Collection[Document], mark: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Close a mark if nothing came in since it was read; False: it stays open and must be computed again."""
    unchanged = {"_id": mark["_id"], "rev": mark["rev"]}
    update = {"$set": {**values, "open": False}}
    return collection.update_one(unchanged, update).matched_count == 1


def set_all(
    collection: Collection[Document],
    scope: Mapping[str, Any],
    documents: Iterable[Mapping[str, Any]],
    rev: int,
) -> int:
    """Make `documents` all that there is in `scope`; how many were written or removed.

    What was computed from a later `rev` stands: a computation that was held up does no harm.
    """
    wanted = {document["_id"]: {**document, "rev": rev} for document in documents}
    there = {document["_id"]: document for document in collection.find(dict(scope))}
    writes = [
        UpdateOne({"_id": name, "rev": {"$lte": rev}}, {"$set": _without_id(document)}, upsert=True)
        for name, document in wanted.items()
        if name not in there or _differ(there[name], document)
    ]
    write_missing(collection, writes)  # a duplicate is a later one's document
    stale = [name for name in there if name not in wanted]
    removed = sum(collection.delete_one({"_id": name, "rev": {"$lte": rev}}).deleted_count for name in stale)
    return len(writes) + removed


def _open(
    collection: Collection[Document], marks: Mapping[str, Document], new: Mapping[str, Any] | None = None
) -> None:
    """`new`: what a mark says besides that is there for the first time."""
    for name, fields in marks.items():
        raised = {"$inc": {"rev": 1}, "$set": {**fields, "open": True}}
        raised |= {"$setOnInsert": dict(new)} if new else {}
        try:
            collection.update_one({"_id": name}, raised, upsert=True)
        except DuplicateKeyError:  # two leaders made it at once
            collection.update_one({"_id": name}, raised)


def _without_id(document: Mapping[str, Any]) -> Document:
    return {name: value for name, value in document.items() if name != "_id"}


def _differ(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return any(old.get(name) != value for name, value in new.items() if name != "rev")
