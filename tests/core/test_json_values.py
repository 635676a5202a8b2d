"""How many values a JSON text holds: never fewer are told than there are; texts count for one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.json_values import Values, at_most

LEAVES = st.none() | st.booleans() | st.integers() | st.text('a,[{"\\\\', max_size=8)
ANY = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text('a",[', max_size=3), inner)
)


def values(value):
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(values, inside))


def names(value):
    if isinstance(value, dict):
        return len(value) + sum(map(names, value.values()))
    return sum(map(names, value)) if isinstance(value, list) else 0


@settings(max_examples=200)
@given(ANY)
def test_a_text_of_more_values_is_told_from_one_of_fewer(value):
    raw, n = json.dumps(value).encode(), values(value)
    assert not at_most(raw, n - 1)
    assert at_most(raw, n)


@pytest.mark.parametrize("text", ["a,b" * 1000, '"[{,' * 1000, "\\\\," * 1000])
def test_a_long_text_is_one_value(text):
    assert at_most(json.dumps([text]).encode(), 5)


@settings(max_examples=200)
@given(ANY, st.integers(1, 9))
def test_in_pieces_of_any_length_the_same_is_counted(value, size):
    raw, found = json.dumps(value).encode(), Values()
    for at in range(0, len(raw), size):
        found.feed(raw[at : at + size])
    whole = Values()
    whole.feed(raw)
    assert whole.seen == values(value) + names(value)
    assert whole.seen <= found.seen <= 2 * whole.seen
