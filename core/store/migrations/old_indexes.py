"""Drops the indexes that earlier versions made and this one does not want, or wants otherwise."""

from __future__ import annotations

from typing import Any

from pymongo.database import Database
from pymongo.errors import OperationFailure

from core.store.indexes import EXPIRING, EXPIRING_INDEX, INDEXES

Document = dict[str, Any]

RETIRED = (
    ("jobs", "idempotent"),  # was partial in another way, and then of all jobs
    ("jobs", "ended_badly"),  # its place is taken by marks in `known`
    ("jobs", "metering"),  # its place is taken by `metered`
    ("jobs", "due"),  # had no jobs with a place
    ("managed_overage", "by_workspace"),  # its place is taken by `listed`
    ("usage_quarters", "by_day"),  # had the agent as a third field
    *((name, EXPIRING_INDEX) for name in EXPIRING),  # let the store delete what is over
)
OPTIONS = ("unique", "partialFilterExpression", "expireAfterSeconds")
GONE = (26, 27)
"""MongoDB's codes for a collection, or an index of it, that is not there."""


def run(db: Database[Document]) -> None:
    """An index that is as this version wants it stays."""
    wanted = {(name, index.document["name"]): index.document for name in INDEXES for index in INDEXES[name]}
    for collection, index in RETIRED:
        there = next((i for i in db[collection].list_indexes() if i["name"] == index), None)
        if there is not None and _options(there) != _options(wanted.get((collection, index), {})):
            _drop(db, collection, index)


def _options(index: Any) -> Document:
    return {"fields": list(index.get("key", {}).items()), **{name: index.get(name) for name in OPTIONS}}


def _drop(db: Database[Document], collection: str, index: str) -> None:
    try:
        db[collection].drop_index(index)
    except OperationFailure as error:
        if error.code not in GONE:  # another process may have been first
            raise
