"""The smallest instance of a schema is one that the schema allows."""

from __future__ import annotations

import json
from datetime import date, datetime
from enum import Enum
from typing import Annotated, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field

from core.llm.smallest import instance


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Step(BaseModel):
    explanation: str
    next: Step | None


class Everything(BaseModel):
    text: Annotated[str, Field(min_length=3)]
    number: float
    high: Annotated[int, Field(ge=5)]
    above: Annotated[int, Field(gt=5)]
    below: Annotated[int, Field(lt=-5)]
    yes: bool
    colour: Colour
    kind: Literal["a", "b"]
    maybe: int | None
    either: str | int
    day: date
    at: datetime
    id: UUID
    steps: Annotated[list[Step], Field(min_length=2)]
    named: dict[str, int]
    given: int = 7
    left_out: str | None = None


def test_it_is_one_that_the_model_takes_and_holds_what_is_required_alone():
    made = instance(Everything.model_json_schema())
    Everything.model_validate(made)
    assert set(made) == set(Everything.model_fields) - {"given", "left_out"}
    assert (made["text"], made["colour"], made["high"], made["above"], made["below"]) == (
        "aaa",
        "red",
        5,
        6,
        -6,
    )


@pytest.mark.parametrize(
    ("schema", "made"),
    [
        ({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}, {"city": ""}),
        ({"properties": {"city": {"type": "string"}}}, {}),
        ({"type": ["null", "integer"]}, 0),
        ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, False),
        ({"const": 3}, 3),
        (
            {"allOf": [{"properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"type": "object"}]},
            {"a": 0},
        ),
        ({"$ref": "#/definitions/x~1y", "definitions": {"x/y": {"type": "array"}}}, []),
        ({"$ref": "#"}, None),
        ({"type": "string", "format": "date"}, "2026-01-01"),
        ({"type": "number", "maximum": -1.5}, -2),
        (None, None),
        ({"type": "strange"}, None),
    ],
)
def test_schemas_of_other_shapes(schema, made):
    assert instance(schema) == made


def test_a_schema_that_requires_itself_ends():
    looped = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    made, levels = instance(looped), 0
    while made is not None:
        made, levels = made["next"], levels + 1
    assert levels == 20


@pytest.mark.parametrize("n", [1, 2])
def test_a_schema_that_combines_itself_has_what_else_it_combines(n):
    it = {"$ref": "#/$defs/it"}
    more = {"properties": {"a": {"type": "integer"}}, "required": ["a"]}
    looped = {**it, "$defs": {"it": {"type": "object", "allOf": [more, *[it] * n]}}}
    assert instance(looped) == {"a": 0}


LISTS = {"type": "array", "minItems": 1000, "items": {"type": "array", "minItems": 1000, "items": {}}}
NAMES = [str(n) for n in range(10_000)]
WIDE = {"$ref": "#/$defs/wide"}
OF_WIDE = {"wide": {"properties": {n: {"const": 0} for n in NAMES}, "required": NAMES}}
MANY = {
    "lists": {"type": "array", "minItems": 1000, "items": LISTS},
    "itself": {"type": "object", "properties": {n: {"$ref": "#"} for n in "abcd"}, "required": [*"abcd"]},
    "chained": {
        "$ref": "#/$defs/0",
        "$defs": {n: {"allOf": [{"$ref": f"#/$defs/{int(n) + 1}"}]} for n in NAMES},
    },
    "wide": {"type": "array", "minItems": 1000, "items": {"allOf": [WIDE] * 10_000}, "$defs": OF_WIDE},
    "long": {"type": "array", "minItems": 1000, "items": {"const": "x" * 1_000_000}},
}


@pytest.mark.parametrize("schema", MANY.values(), ids=MANY)
def test_a_schema_that_asks_for_very_many_values_gets_some(schema):
    assert len(json.dumps(instance(schema))) < 3_000_000
