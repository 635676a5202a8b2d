"""What takes long to make, made once for all tests of a file: each has a copy, in a database of its own."""

from __future__ import annotations

from typing import Any

from pymongo.database import Database

from core.store.indexes import INDEXES

Documents = dict[str, list[dict[str, Any]]]
"""By collection."""


def documents(db: Database[dict[str, Any]]) -> Documents:
    """All that is there."""
    found = {name: list(db[name].find()) for name in INDEXES}
    return {name: some for name, some in found.items() if some}


def put(db: Database[dict[str, Any]], made: Documents) -> None:
    for name, some in made.items():
        db[name].insert_many(some)
