"""Changing many documents a few at a time, so that being killed costs one batch and no call times out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from pymongo import UpdateOne
from pymongo.collection import Collection

Document = dict[str, Any]

BATCH = 500
"""Takes the embedded server half a second."""


def change_each(
    collection: Collection[Document],
    older: Mapping[str, Any],
    change: Callable[[Document], Mapping[str, Any]],
    *fields: str,
) -> None:
    """Update every document that matches `older`. `change` makes the update from its `_id` and `fields`."""
    found = collection.find(older, dict.fromkeys(["_id", *fields], 1))
    while batch := list(islice(found, BATCH)):
        writes = [UpdateOne({"_id": document["_id"], **older}, change(document)) for document in batch]
        collection.bulk_write(writes, ordered=False)
