"""Updates that carry their condition, as a pipeline: the document is found by its `_id` alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Document = dict[str, Any]


def conditional(where: Mapping[str, Any], update: Mapping[str, Any]) -> tuple[list[Document], Document]:
    """The pipeline that updates a document which has these values, and leaves any other as it is; its `let`.

    `where`: fields and their values. `update`: `$set`, `$inc`, `$push` of one, and `$addToSet` with `$each`,
    all of fields at the top of the document.

    The values are in one variable, as they are: what a user or a provider said may look like a field, or an
    operator. Within the pipeline the embedded server looks at each of them three times before it begins, an
    eighth of what the end of a chat costs it (2026-11).
    """
    said: Document = {"where": dict(where), "set": {}}
    changes: Document = {}
    for operator, fields in update.items():
        if operator == "$set":
            said["set"] = fields
            continue
        change, value = OPERATORS[operator]
        said[operator[1:]] = {name: value(one) for name, one in fields.items()}
        changes |= {name: change(f"${name}", f"$$said.{operator[1:]}.{name}") for name in fields}
    holds = [{"$eq": [f"${name}", f"$$said.where.{name}"]} for name in where]
    changed = {"$mergeObjects": ["$$ROOT", "$$said.set", changes]}
    pipeline = [{"$replaceWith": {"$cond": [{"$and": holds}, changed, "$$ROOT"]}}]
    return pipeline, {"said": {"$literal": said}}


def _list(field: str) -> Document:
    return {"$ifNull": [field, []]}


OPERATORS: dict[str, tuple[Callable[[str, str], Document], Callable[[Any], Any]]] = {
    "$inc": (lambda field, by: {"$add": [{"$ifNull": [field, 0]}, by]}, lambda by: by),
    "$push": (lambda field, one: {"$concatArrays": [_list(field), [one]]}, lambda one: one),
    "$addToSet": (lambda field, some: {"$setUnion": [_list(field), some]}, lambda some: some["$each"]),
}
"""What each makes of a field and of its value, and the value. Those of `$set` are merged as they are."""
