"""Free-form JSON comes back as it was given, key by key, whatever a store would make of it."""

from __future__ import annotations

import json

import pytest
from bson.codec_options import CodecOptions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.store.free_json import MANY, Text, compact, packed, storable, unpacked
from tests.stack import ROOT

ODD = ["$ref", "$id", "$db", "$oid", "$date", "$numberLong", "", "a.b", "$", ".", "a\0b", "_id", "plain"]
NAMES = st.sampled_from(ODD) | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.just("$ref")
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4)
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(JSON)
def test_whatever_is_given_comes_back(db, value):
    kept = {"_id": 1, "metadata": value}
    db.things.replace_one({"_id": 1}, storable(kept), upsert=True)
    assert db.things.find_one({"_id": 1}) == kept == unpacked(packed(kept))


def test_nobody_else_makes_documents_of_bytes():
    """`bson` by itself takes an object with a `$ref` for a reference."""
    sources = {path for part in ("core", "web", "workers") for path in (ROOT / part).rglob("*.py")}
    using = {path for path in sources if "import bson" in path.read_text()}
    assert using == {ROOT / "core/store/free_json.py"}


@pytest.mark.parametrize(
    "reference", [{"$ref": "x", "$id": "y"}, {"$ref": "x", "$id": 1, "$db": "z", "more": [1]}]
)
def test_a_reference_in_an_update_is_data_too(db, reference):
    db.things.insert_one({"_id": 1})
    db.things.update_one({"_id": 1}, {"$set": storable({"a": {"deep": [reference]}})})
    assert db.things.find_one({"_id": 1})["a"] == {"deep": [reference]}


def test_only_what_is_odd_is_wrapped():
    value = {"a": [{"b": 1}, {"$ref": 2}], "c": {"d.e": {"f": 1}}}
    wrapped = storable(value)
    assert wrapped["a"][0] == {"b": 1}
    assert isinstance(wrapped["a"][1], Text)
    assert isinstance(wrapped["c"], Text)
    assert value == {"a": [{"b": 1}, {"$ref": 2}], "c": {"d.e": {"f": 1}}}


@pytest.mark.parametrize(
    "value",
    [
        [0] * (MANY + 1),
        [[0] * 99] * 11,
        {f"k{n}": {"$ref": n} for n in range(MANY)},
        [{"x": {str(n): 0.5 for n in range(MANY)}}],
        ["\ud800", "é\x01\\" * 9, None, -(2**63), 1e300] * MANY,
    ],
    ids=["a list", "lists in a list", "odd names", "deep names", "odd texts"],
)
def test_what_holds_many_values_is_kept_as_text_and_comes_back(db, value):
    kept = storable(compact({"few": [0] * MANY, "many": value}))
    assert [isinstance(one, Text) for one in kept.values()] == [False, True]
    db.things.replace_one({"_id": 1}, kept, upsert=True)
    assert db.things.find_one({"_id": 1}) == {"_id": 1, "few": [0] * MANY, "many": value}


def test_a_text_is_no_longer_than_it_came(db):
    told = ["é" * 9, 1e300] * MANY
    db.things.replace_one({"_id": 1}, {"text": Text(told)}, upsert=True)
    raw = db.client.get_database(db.name, codec_options=CodecOptions()).things.find_one({"_id": 1})["text"]
    assert len(raw) <= len(json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode())
