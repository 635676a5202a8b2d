"""Databases as earlier versions of the code wrote them, as extended JSON, to be upgraded by tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bson import json_util
from pymongo import IndexModel
from pymongo.database import Database

FOLDER = Path(__file__).parent
NOT_OPTIONS = ("v", "key", "ns")


def load(db: Database[dict[str, Any]], name: str) -> dict[str, Any]:
    """Fill an empty database; the file, which also holds keys and the ids of jobs, each under a name."""
    text = (FOLDER / f"{name}.json").read_text()
    file = json_util.loads(text, json_options=json_util.JSONOptions(tz_aware=True))
    for collection, documents in file["documents"].items():
        db[collection].insert_many(documents)
    for collection, indexes in file["indexes"].items():
        if indexes:
            db[collection].create_indexes([_index(index) for index in indexes])
    return file


def _index(index: dict[str, Any]) -> IndexModel:
    options = {name: value for name, value in index.items() if name not in NOT_OPTIONS}
    return IndexModel([tuple(field) for field in index["key"]], **options)
