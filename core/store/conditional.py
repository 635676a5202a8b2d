"""Updates that carry their condition, as a pipeline: the document is found by its `_id` alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Document = dict[str, Any]


class Conditional:
    """Updates a document which has these values, and leaves any other as it is.

    `where`: fields and their values. `update`: `$set`, `$inc`, `$push` of one, and `$addToSet` with `$each`,
    all of fields at the top of the document.

    `said`: what the pipeline's variable is to be. All values are in it, as they are: what a user or a
    provider said may look like a field, or an operator. Within the pipeline the embedded server looks at each
    of them three times before it begins, an eighth of what the end of a chat costs it (2026-11).
    """

    def __init__(self, where: Mapping[str, Any], update: Mapping[str, Any]) -> None:
        self._where = where
        self._update = update
        values: Document = {"where": dict(where), "set": {}}
        for operator, fields in update.items():
            if operator == "$set":
                values["set"] = fields
            else:
                _, value = OPERATORS[operator]
                values[operator[1:]] = {name: value(one) for name, one in fields.items()}
        self.said: Mapping[str, Any] = {"$literal": values}

    def pipeline(self) -> list[Document]:
        """The update, with all its values in the variable `said`."""
        holds, changed = self._parts("said")
        return [{"$replaceWith": {"$cond": [{"$and": holds}, changed, "$$ROOT"]}}]

    def branch(self, name: Any, variable: str) -> Document:
        """That of the document with this `_id` in the update of several."""
        holds, changed = self._parts(variable)
        return {"case": {"$and": [{"$eq": ["$_id", {"$literal": name}]}, *holds]}, "then": changed}

    def _parts(self, variable: str) -> tuple[list[Document], Document]:
        changes: Document = {}
        for operator, fields in self._update.items():
            if operator != "$set":
                change, _ = OPERATORS[operator]
                told = f"$${variable}.{operator[1:]}"
                changes |= {name: change(f"${name}", f"{told}.{name}") for name in fields}
        holds = [{"$eq": [f"${name}", f"$${variable}.where.{name}"]} for name in self._where]
        return holds, {"$mergeObjects": ["$$ROOT", f"$${variable}.set", changes]}


def of_several(branches: Iterable[Document]) -> list[Document]:
    """The update of documents of which each has a branch of its own."""
    return [{"$replaceWith": {"$switch": {"branches": list(branches), "default": "$$ROOT"}}}]


def _list(field: str) -> Document:
    return {"$ifNull": [field, []]}


OPERATORS: dict[str, tuple[Callable[[str, str], Document], Callable[[Any], Any]]] = {
    "$inc": (lambda field, by: {"$add": [{"$ifNull": [field, 0]}, by]}, lambda by: by),
    "$push": (lambda field, one: {"$concatArrays": [_list(field), [one]]}, lambda one: one),
    "$addToSet": (lambda field, some: {"$setUnion": [_list(field), some]}, lambda some: some["$each"]),
}
"""What each makes of a field and of its value, and the value. Those of `$set` are merged as they are."""
