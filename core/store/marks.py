"""Marks: one document among 128 tells when its list was busy, and an index knows those alone.

Only what made them can tell so on the embedded server: whatever it is asked of a range, it reads all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pymongo.collection import Collection

FIELD = "marked"
EACH = 128
"""One document among so many is marked."""


def chosen(document_id: str) -> bool:
    """Is it one of those? By its id, whose end is random."""
    return document_id[-2:] in ("00", "01")


def mark(document_id: str) -> dict[str, bool]:
    """What such a document has beside its other fields."""
    return {FIELD: True} if chosen(document_id) else {}


def places(
    collection: Collection[Any], whose: Mapping[str, Any], since: datetime, before: datetime
) -> Sequence[datetime]:
    """When the marked ones of a list were made, newest first; for windows of time."""
    marks = {**whose, FIELD: True, "created_at": {"$gte": since, "$lt": before}}
    found = collection.find(marks, {"created_at": 1}).sort("created_at", -1)
    return [document["created_at"] for document in found]
