"""Matching: does a document match a query? For what no index knows of a list; only with what lists ask. Pure.

The embedded server looks at all documents for a query of more fields than an index begins with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]

OPERATORS: dict[str, Callable[[Sequence[Any], Any], bool]] = {
    "$eq": lambda values, one: one in values,
    "$in": lambda values, some: any(value in some for value in values),
    "$all": lambda values, all_: all(one in values for one in all_),
    "$gte": lambda values, least: any(value is not None and value >= least for value in values),
    "$lte": lambda values, most: any(value is not None and value <= most for value in values),
    "pattern": lambda values, pattern: any(isinstance(v, str) and pattern.search(v) for v in values),
}
"""By their names in MongoDB: do the values of a field, of which an array is several, match?"""


def matches(document: Document, query: Document) -> bool:
    """As the store would say. Raises `KeyError` for an operator that no list uses."""
    return all(
        any(matches(document, one) for one in condition)
        if field == "$or"
        else _holds(_values(document, field.split(".")), condition)
        for field, condition in query.items()
    )


def fields_of(query: Document) -> set[str]:
    """The fields that a query reads."""
    found = set()
    for field, condition in query.items():
        found |= {f for one in condition for f in fields_of(one)} if field == "$or" else {field}
    return found


def _holds(values: Sequence[Any], condition: Any) -> bool:
    if isinstance(condition, re.Pattern):
        return OPERATORS["pattern"](values, condition)
    asked = condition if isinstance(condition, Mapping) else {"$eq": condition}
    return all(OPERATORS[name](values, argument) for name, argument in asked.items())


def _values(found: Any, path: Sequence[str]) -> list[Any]:
    """What stands at a path: an array's items too, and those of each document in it."""
    if isinstance(found, list):
        items = [value for one in found for value in _values(one, path)]
        return items if path else [*items, found]
    if not path:
        return [found]
    return _values(found.get(path[0]) if isinstance(found, Mapping) else None, path[1:])
