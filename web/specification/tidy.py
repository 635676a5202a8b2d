"""Schemas, tidied for those who make clients of them. Pure."""

from __future__ import annotations

import json
from typing import Any

from web.specification.words import WORDS

Document = dict[str, Any]

ONE = ("items", "additionalProperties", "not", "propertyNames")
MANY = ("anyOf", "oneOf", "allOf", "prefixItems")
NULL: Document = {"type": "null"}


def tidied(schema: Any) -> Any:
    """Without titles that repeat a name, and without `default: null`, which says nothing."""
    if not isinstance(schema, dict):
        return schema  # `additionalProperties: true`
    kept = {key: value for key, value in schema.items() if key not in ("title", "$defs")}
    if kept.get("default", ...) is None:
        del kept["default"]
    kept |= {key: tidied(kept[key]) for key in ONE if key in kept}
    kept |= {key: list(map(tidied, kept[key])) for key in MANY if key in kept}
    if "properties" in kept:
        kept["properties"] = {name: described(name, tidied(one)) for name, one in kept["properties"].items()}
    return kept


def described(name: str, what: Document) -> Document:
    """A property or a parameter, with the common description of its name if it has none of its own."""
    said = what.get("description") or WORDS.get(name)
    return {**what, "description": said} if said else what


def never_null(schema: Document) -> Document:
    """The schema of a parameter: what is not given is left out, since no URL says null."""
    kept = [one for one in schema.get("anyOf", ()) if one != NULL]
    if len(kept) != 1:
        return schema
    return {**{key: value for key, value in schema.items() if key != "anyOf"}, **kept[0]}


def of_body(schema: Document) -> Document:
    """A tidied body whose descriptions tell its defaults.

    Generators take a `default` for what is always there: their clients would send it, even in a PATCH.
    """
    if "properties" not in schema:
        return schema
    return {**schema, "properties": {name: _told(one) for name, one in schema["properties"].items()}}


def _told(what: Document) -> Document:
    kept = {key: value for key, value in what.items() if key != "default"}
    if what.get("default") in (None, "", [], {}):
        return kept
    return {**kept, "description": f"{what.get('description', '')} (default: {json.dumps(what['default'])})"}
