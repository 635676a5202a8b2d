"""JSON that somebody hostile or sloppy sends: what is kept as it is given, and what is refused."""

from __future__ import annotations

import json
from typing import Any

NAMES = [
    *("", ".", "..", "$", "$$", "a.b", "a.b.c.", ".a", "$a.b", "_id", "id", "0", "-1", "items", "get"),
    *("$set", "$where", "$ref", "$id", "$db", "$oid", "$date", "$$ROOT", "$$REMOVE", "$literal", "$expr"),
    *("__proto__", "constructor", "prototype", "toString", "__class__", "self", "true", "null", "NaN"),
    *("é", "e\u0301", "名前", "\u202eelif", "\u200b", "\ufeff", "\U0001f469\u200d\U0001f680", "\uffff"),
    *(" ", "\n", "\r\n", "\t", "\x01", "\x1b[31m", "\x7f", "\x85", "\u2028", "\\u0000", "\\", '"', "'", ":"),
    *("</script>", "<b>", "&amp;", "{{ 7 * 7 }}", "{% raw %}", "%s", "~1", "/", "[", "{", ",", "x" * 2000),
]
SHAPES = [
    {"$ref": "x", "$id": "y"},
    {"$ref": "x", "$id": {"$ref": "z", "$id": None}, "$db": "w", "more": [{"$ref": 1}]},
    {"$oid": "0" * 24},
    {"$date": "2026-01-01T00:00:00Z"},
    {"$date": {"$numberLong": "0"}},
    {"$binary": {"base64": "AAAA", "subType": "80"}},
    {"$binary": "AAAA", "$type": "00"},
    {"$uuid": "00000000-0000-0000-0000-000000000000"},
    {"$numberLong": "1"},
    {"$numberDecimal": "NaN"},
    {"$numberDouble": "-0.0"},
    {"$regularExpression": {"pattern": ".*", "options": "i"}},
    {"$timestamp": {"t": 1, "i": 1}},
    {"$code": "while (true) {}", "$scope": {}},
    {"$minKey": 1},
    {"$undefined": True},
    {"$set": {"role": "admin"}, "$unset": {"_id": ""}},
    {"$literal": "$name"},
    {"$cond": [True, "$_id", "$$ROOT"]},
    {"$function": {"body": "", "args": [], "lang": "js"}},
    {"_id": 2, "a": {"_id": 1}},
    {"b": 1, "a": 2, "10": 3, "9": 4, "": 5},
]
VALUES = [
    *(0, 1, -1, True, False, None, 1.0, -0.0, 0.1, 1e16, 1e22, 123456789.123456789),
    *(2**31, 2**53 + 1, 2**63 - 1, -(2**63), 1.7976931348623157e308, -2.2250738585072014e-308, 5e-324),
    *("", "$name", "$$NOW", "null", "NaN", "Infinity", "1e400", "2026-01-01T00:00:00Z", "0" * 24),
    *("00000000-0000-0000-0000-000000000000", "data:,", "\x01\x7f\x85\u2028\ufeff\ufffd\uffff", "\\u0000"),
    *([], {}, [[]], [{}], {"a": {}}, {"a": [[], [{}]]}, [1, "1", 1.0, True, None, [], {}, {"$ref": 1}]),
]


def nested(levels: int, within: Any = None) -> Any:
    """Objects and lists in each other."""
    for n in range(levels):
        within = {"$in": within} if n % 2 else [within]
    return within


KEPT: dict[str, dict[str, Any]] = {
    "within": {"shapes": SHAPES, "values": VALUES, "deep": nested(48, {"$ref": "x", "$id": 1})},
    "outside": {name: n for n, name in enumerate(NAMES)},
}
"""Each is one object: its own names are plain, or odd. A place may be seven levels within a body."""

NOT_JSON = [
    r'"\ud800"',
    r'"a\udfffb"',
    r'{"\ud83d": 1}',
    '"a\0b"',
    "NaN",
    "-Infinity",
    "9" * 5000,
    "01",
    "{'a': 1}",
    '{"a": 1,}',
]
NOT_KEPT = [
    r'"a\u0000b"',
    r'{"a\u0000b": 1}',
    r'[{"\u0000": {}}]',
    "9223372036854775808",
    "-9223372036854775809",
    '{"a": [1e400]}',
    "-1e309",
    json.dumps(nested(64)),
    '{"a": 1, "a": 1}',
    r'{"a": 1, "b": {"a": 1}, "\u0061": 2}',
    r'[{"": 1, "\"": ":", "": 2}]',
]
REFUSED = [f'{{"a": {text}}}' for text in (*NOT_JSON, *NOT_KEPT)]
"""Texts of objects, none of which could come back as it is."""


def lost(found: Any, given: dict[str, Any]) -> list[str]:
    """What of an object did not come back as it was given: `1.0` is not `1`, and names have their order."""
    if not isinstance(found, dict) or list(found) != list(given):
        return [f"its names: {list(found)[:5]}"]
    return [name for name in given if json.dumps(found[name]) != json.dumps(given[name])]


def places(schema: Any, known: dict[str, Any], at: tuple[str, ...] = (), seen: frozenset[str] = frozenset()):
    """The places in a schema of the specification where names are free, as `("messages", "*", "content")`."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name not in seen:
            yield from places(known[name], known, at, seen | {name})
        return
    open_ended = schema.get("additionalProperties", "properties" not in schema)
    anything = not schema.keys() - {"title", "description", "default", "examples"}
    if anything or (schema.get("type") == "object" and open_ended is not False):
        yield at
    for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from places(one, known, at, seen)
    for name, one in schema.get("properties", {}).items():
        yield from places(one, known, (*at, name), seen)
    items = [schema["items"]] if "items" in schema else []
    for one in (*items, *schema.get("prefixItems", ())):
        yield from places(one, known, (*at, "*"), seen)
    if isinstance(open_ended, dict):
        yield from places(open_ended, known, (*at, "{}"), seen)
