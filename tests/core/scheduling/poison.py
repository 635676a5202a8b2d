"""Documents such as no code of ours writes: each field of a good one missing, or of an odd type or time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pymongo.database import Database
from pymongo.errors import BulkWriteError

from core.ids import new_id
from core.store.indexes import INDEXES
from core.store.repeat import DUPLICATE

Document = dict[str, Any]

MISSING = object()
ODD = {
    "missing": MISSING,
    "text": "9" * 30,
    "reference": {"$ref": "jobs", "$id": "x"},
    "end of time": datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
}
OTHERS = "w2"
"""Whose the copies are: what is computed of a whole workspace at a time is put aside as a whole."""
UNIQUE = {"jobs": ("idempotency", {"route": "", "hash": ""}), "runtimes": ("listens", None)}


def spread(db: Database[Document]) -> int:
    """Beside each document of the database put its poisoned copies; how many."""
    put = 0
    for name in db.list_collection_names():
        copies = [copy for good in list(db[name].find()) for copy in poisoned(name, good)]
        put += _insert(db, name, copies)
    return put


def poisoned(collection: str, good: Document) -> Iterator[Document]:
    """A copy for each field and each odd value that the embedded store takes there."""
    for field in [*good]:
        if field == "_id":
            continue
        for what, value in ODD.items():
            if what == "reference" and field in _indexed(collection):
                continue  # it answers "internal server error"
            copy = {**good, "_id": f"{good['_id']}~{field}~{what}"}
            if "workspace_id" in good:
                copy["workspace_id"] = OTHERS
            if (unique := UNIQUE.get(collection)) and unique[0] != field:
                copy[unique[0]] = {**unique[1], "key": new_id()} if unique[1] is not None else new_id()
            if value is MISSING:
                del copy[field]
            else:
                copy[field] = value
            yield copy


def _indexed(collection: str) -> set[str]:
    return {field for index in INDEXES.get(collection, ()) for field in index.document["key"]}


def _insert(db: Database[Document], name: str, copies: list[Document]) -> int:
    """Those that an index which is unique lets in."""
    if not copies:
        return 0
    try:
        return len(db[name].insert_many(copies, ordered=False).inserted_ids)
    except BulkWriteError as error:
        if any(one["code"] != DUPLICATE for one in error.details["writeErrors"]):
            raise
        return int(error.details["nInserted"])
