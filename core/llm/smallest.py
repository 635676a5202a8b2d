"""The smallest instance of a JSON schema, as far as one can be made up: required properties alone. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from core.llm.plain import mapping, mappings
from core.llm.types import Document

DEEPEST = 20
"""Levels: a schema may require itself."""
MOST = 10_000
"""Values, parts that they combine, and hundreds of what is said of one each time that it is looked at. A
schema of a few lines may ask for more than any memory holds, and combine itself with itself."""
NULL_BELOW = 3
"""Levels: what may be null is something above them, and null below."""
FORMATS = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "email": "a@example.com",
    "uri": "https://example.com",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "ipv4": "192.0.2.1",
}


def instance(schema: Any) -> Any:
    """A value that the schema allows; patterns are not looked at. What is above `MOST` values is null."""
    return _of(mapping(schema), _Root(mapping(schema)), 0)


class _Root:
    """The whole schema, and how many values may still be made of it."""

    def __init__(self, schema: Document) -> None:
        self.schema = schema
        self.left = MOST

    def takes(self, n: int) -> bool:
        """So many go. False: there are none any more."""
        self.left -= n
        return self.left >= 0


def _of(schema: Document, root: _Root, depth: int) -> Any:
    schema = _whole(schema, root, depth)
    if root.left < 0:
        return None
    for name in ("const", "default"):
        if name in schema:
            return _given(schema[name], root)
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return _given(schema["enum"][0], root)
    kind = schema.get("type") or ("object" if "properties" in schema else None)
    kind = next((one for one in kind if one != "null"), "null") if isinstance(kind, list) else kind
    make = MADE.get(kind) if isinstance(kind, str) else None
    return make(schema, root, depth) if make and depth < DEEPEST else None


def _given(value: Any, root: _Root) -> Any:
    """A value that the schema holds; a long one counts as many."""
    root.takes(len(str(value)) // 100)
    return value


def _whole(schema: Document, root: _Root, depth: int) -> Document:
    """With what it refers to, the first choice that is not null, and all of what it combines, each once."""
    parts: list[Document] = []
    todo, seen = [schema], set[int]()
    while todo and root.takes(1):
        part = todo.pop()
        if id(part) not in seen:
            seen.add(id(part))
            part = _chosen(part, root, depth)
            todo += reversed(mappings(part.get("allOf")))
            parts.append(part)
    return parts[0] if len(parts) == 1 else _joined(parts)


def _chosen(schema: Document, root: _Root, depth: int) -> Document:
    for _ in range(DEEPEST):
        path = schema.get("$ref")
        choices = mappings(schema.get("anyOf") or schema.get("oneOf"))
        if not root.takes(_size(schema) // 100):
            break
        if isinstance(path, str):
            schema = _at(path, root.schema) | {name: of for name, of in schema.items() if name != "$ref"}
        elif choices:
            chosen = next(
                (one for one in choices if (one.get("type") == "null") == (depth > NULL_BELOW)), choices[0]
            )
            schema = {name: of for name, of in schema.items() if name not in ("anyOf", "oneOf")} | chosen
        else:
            break
    return schema


def _size(schema: Document) -> int:
    return len(schema) + sum(len(said) for said in schema.values() if isinstance(said, str | list | dict))


def _joined(parts: list[Document]) -> Document:
    found: Document = {}
    properties: Document = {}
    required: list[Any] = []
    for part in parts:
        found |= part
        properties |= mapping(part.get("properties"))
        required += part.get("required") or []
    return found | {"properties": properties, "required": required} if properties else found


def _at(path: str, root: Document) -> Document:
    """What `#/$defs/Name` points to."""
    found: Any = root
    for name in path.removeprefix("#").split("/")[1:]:
        found = mapping(found).get(name.replace("~1", "/").replace("~0", "~"))
    return mapping(found)


def _object(schema: Document, root: _Root, depth: int) -> Document:
    properties, required = mapping(schema.get("properties")), schema.get("required") or []
    return {name: _of(mapping(properties.get(name)), root, depth + 1) for name in required}


def _array(schema: Document, root: _Root, depth: int) -> list[Any]:
    least = min(_number(schema.get("minItems")), max(root.left, 0))
    return [_of(mapping(schema.get("items")), root, depth + 1) for _ in range(least)]


def _string(schema: Document, root: _Root, depth: int) -> str:
    known = FORMATS.get(str(schema.get("format")), "")
    return known.ljust(_number(schema.get("minLength")), "a")


def _integer(schema: Document, root: _Root, depth: int) -> int:
    """0, or the number nearest to it that the bounds allow."""
    least = max(_bound(schema, "minimum"), _bound(schema, "exclusiveMinimum", 1))
    most = min(_bound(schema, "maximum", of=math.inf), _bound(schema, "exclusiveMaximum", -1, math.inf))
    nearest = min(max(0, least), most)
    return math.ceil(nearest) if nearest >= 0 else math.floor(nearest)


def _bound(schema: Document, name: str, more: int = 0, of: float = -math.inf) -> float:
    value = schema.get(name)
    return value + more if isinstance(value, int | float) and not isinstance(value, bool) else of


def _number(value: Any) -> int:
    return min(value, 1000) if isinstance(value, int) and value > 0 else 0


MADE: dict[str, Callable[[Document, _Root, int], Any]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _integer,
    "number": _integer,
    "boolean": lambda schema, root, depth: False,
}
