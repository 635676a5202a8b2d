"""Updates that carry their condition, as a pipeline: the document is found by its `_id` alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Document = dict[str, Any]


def conditional(where: Mapping[str, Any], update: Mapping[str, Any]) -> list[Document]:
    """The pipeline that updates a document which has these values, and leaves any other as it is.

    `where`: fields and their values. `update`: `$set`, `$inc`, `$push` of one, and `$addToSet` with `$each`,
    all of fields at the top of the document.
    """
    holds = [{"$eq": [f"${name}", _plain(value)]} for name, value in where.items()]
    changes: Document = {}
    for operator, fields in update.items():
        changes |= {name: OPERATORS[operator](f"${name}", value) for name, value in fields.items()}
    changed = {"$mergeObjects": ["$$ROOT", changes]}
    return [{"$replaceWith": {"$cond": [{"$and": holds}, changed, "$$ROOT"]}}]


def _plain(value: Any) -> Document:
    """A value as it is: what a user or a provider said may look like a field, or an operator."""
    return {"$literal": value}


def _list(field: str) -> Document:
    return {"$ifNull": [field, []]}


OPERATORS: dict[str, Callable[[str, Any], Document]] = {
    "$set": lambda _, value: _plain(value),
    "$inc": lambda field, by: {"$add": [{"$ifNull": [field, 0]}, by]},
    "$push": lambda field, one: {"$concatArrays": [_list(field), [_plain(one)]]},
    "$addToSet": lambda field, some: {"$setUnion": [_list(field), _plain(some["$each"])]},
}
