"""Free-form JSON of users and providers: what is taken, and how it is stored so that it comes back as given.

A text of a user is `parsed`: then it holds nothing that could not be kept, or sent on, as it was given.

BSON's readers make a database reference of an object with `$ref` and `$id`. Its writers refuse names with a
NUL. MongoDB gives a meaning of its own to names that begin with `$`, hold a dot or are empty. So an object
with such a name is stored as JSON text, in a BSON binary of its own subtype. The client's codec makes the
object of it again, wherever it is read (`core.services.connect_mongo`). What holds many values is stored as
text too, where `compact` was asked for that. Other JSON is stored as it is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import bson
from bson.binary import USER_DEFINED_SUBTYPE, Binary
from bson.codec_options import CodecOptions, TypeCodec, TypeRegistry
from bson.raw_bson import RawBSONDocument
from pydantic_core import from_json

from core import json_values
from core.errors import Invalid, pointer

MOST_VALUES = 100_000
"""Values and names of a text, those inside of others included. Each takes some microseconds in which nobody
else is served; bodies with a million of them took 9 s and 2 GB."""
DEEPEST = 64
"""Levels. A store refuses documents of more than 100, and a job wraps a body in a few."""
BIGGEST_INTEGER = 2**63
NUL = "NUL characters cannot be used"
LONGEST_NAME = 100
"""Characters of a name that a refusal tells."""
MANY = 1_000
"""Values. For each change of a document, whatever is changed, the embedded store took 37 ms where it held
98,000 of them, 28 ms for 10,000 messages, and 2 ms for the same as text (2026-11)."""
NESTED = (dict, list)


def parsed(text: bytes) -> Any:
    """The value of a JSON text from anywhere. Raises `Invalid`."""
    if not json_values.at_most(text, MOST_VALUES):
        raise _at((), f"more than {MOST_VALUES} values")
    value = read(text)
    check(value if isinstance(value, NESTED) else [value], text)
    return value


def read(text: bytes) -> Any:
    """The value of a JSON text, before it is checked. Raises `Invalid`."""
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError as error:
        # The parser's text names a place and a reason, never the content.
        raise Invalid(f"this is not JSON: {error}", code="malformed") from None


class _Inside(NamedTuple):
    """A list or an object of a text, with how it is reached."""

    values: dict[str, Any] | list[Any]
    levels: int
    name: str | int
    around: _Inside | None


def check(whole: dict[str, Any] | list[Any], text: bytes) -> None:
    """Raises `Invalid` for what could not be kept, or sent on, as its text has it.

    That is a NUL, a number too large, a deep nest, or a name twice in one object.
    """
    names, todo = 0, [_Inside(whole, 0, "", None)]
    while todo:
        here = todo.pop()
        if here.levels >= DEEPEST:
            raise _at((), f"nested more than {DEEPEST} levels deep")
        inside: Iterable[tuple[str | int, Any]] = enumerate(here.values)
        if isinstance(here.values, dict):
            if "\0" in "".join(here.values):
                raise _at(_place(here), NUL)
            names, inside = names + len(here.values), here.values.items()
        for name, value in inside:
            kind = type(value)
            if kind is str:
                if "\0" in value:
                    raise _at((*_place(here), name), NUL)
            elif kind is dict or kind is list:
                todo.append(_Inside(value, here.levels + 1, name, here))
            elif kind is float:
                if not math.isfinite(value):
                    raise _at((*_place(here), name), "too large a number")
            elif kind is int and not -BIGGEST_INTEGER <= value < BIGGEST_INTEGER:
                raise _at((*_place(here), name), "too large an integer")
    if text.count(b":") != names and json_values.names(text) != names:
        json.loads(text, object_pairs_hook=_once)


def _place(inside: _Inside) -> tuple[str | int, ...]:
    place: list[str | int] = []
    at: _Inside | None = inside
    while at is not None and at.around is not None:
        place.append(at.name)
        at = at.around
    return tuple(reversed(place))


def _once(pairs: list[tuple[str, Any]]) -> None:
    """Raises `Invalid` for an object that has a name twice: one of the values would be lost."""
    seen = set()
    for name, _ in pairs:
        if name in seen:
            raise _at((), f"{name[:LONGEST_NAME]!r} is there twice in one object")
        seen.add(name)


def _at(place: tuple[str | int, ...], detail: str) -> Invalid:
    return Invalid(detail, errors=[{"pointer": pointer(place), "detail": detail}])


class Text:
    """An object or a list that is kept as JSON text."""

    __slots__ = ("value",)

    def __init__(self, value: dict[str, Any] | list[Any]) -> None:
        self.value = value


def storable(value: Any) -> Any:
    """The same JSON with its odd objects wrapped. Whoever writes free JSON calls this."""
    if isinstance(value, dict):
        if any(map(_odd, value)):
            return Text(value)
        return {name: storable(one) if isinstance(one, NESTED) else one for name, one in value.items()}
    if isinstance(value, list):
        return [storable(one) if isinstance(one, NESTED) else one for one in value]
    return value


def compact(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The same with those fields as text that hold many values. No store can look into these."""
    return {name: Text(value) if _many(value) else value for name, value in fields.items()}


def _many(value: Any) -> bool:
    seen, left = 0, [value]
    while left and seen <= MANY:
        one = left.pop()
        inside = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        seen += len(inside)
        left += inside
    return seen > MANY


def _odd(name: str) -> bool:
    return not name or name[0] == "$" or "." in name or "\0" in name


class _Codec(TypeCodec):
    python_type = Text
    bson_type = Binary

    def transform_python(self, value: Text) -> Binary:
        text = json.dumps(value.value, ensure_ascii=False, separators=(",", ":"))  # no longer than it came
        return Binary(text.encode(errors="surrogatepass"), USER_DEFINED_SUBTYPE)

    def transform_bson(self, value: Binary) -> Any:
        return json.loads(value) if value.subtype == USER_DEFINED_SUBTYPE else value


REGISTRY = TypeRegistry([_Codec()])
"""For the client. With it, reading a chat takes 12 microseconds instead of 10 (pymongo 4.20, measured)."""
CODEC: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True, type_registry=REGISTRY)


def encoded(document: Mapping[str, Any], options: CodecOptions[Any]) -> RawBSONDocument:
    """A document as a collection with these options sends it, so that it is encoded once, and has a size."""
    return RawBSONDocument(bson.encode(document, codec_options=options))


def packed(document: Mapping[str, Any]) -> bytes:
    """A document for another way than the store's, as `unpacked` takes it."""
    return bson.encode(storable(document), codec_options=CODEC)


def unpacked(told: bytes) -> dict[str, Any]:
    """The document as it was before it was `packed`."""
    return bson.decode(told, codec_options=CODEC)
