"""Matching: what the store finds for a query is what we find."""

import re

import pytest

from core.store.matching import fields_of, matches

DOCUMENTS = [
    {"_id": "a1", "kind": "chat", "size": 3, "error": None, "calls": [{"provider": "openai"}], "ids": ["r1"]},
    {
        "_id": "b2",
        "kind": "upload",
        "size": 7,
        "error": {"code": "internal", "detail": "An error of OURS (it is)"},
        "calls": [{"provider": "anthropic"}, {"provider": "openai"}],
        "ids": ["r2", "q2"],
    },
    {"_id": "c3", "kind": "chat", "error": {"code": "Internal"}, "calls": [], "ids": []},
    {"_id": "d4"},
]
QUERIES = [
    {},
    {"kind": "chat"},
    {"kind": {"$in": ["upload", "none"]}},
    {"kind": None},
    {"calls.provider": "openai"},
    {"calls.provider": {"$in": ["anthropic"]}},
    {"error.code": "internal", "kind": "upload"},
    {"error.code": "internal", "kind": "chat"},
    {"ids": "r2"},
    {"ids": ["r2", "q2"]},
    {"ids": {"$all": ["q2", "r2"]}},
    {"ids": {"$all": ["q2", "r1"]}},
    {"size": {"$gte": 3, "$lte": 6}},
    {"size": {"$gte": 4}},
    {"kind": {"$gte": "d", "$lte": "z"}},
    {"$or": [{"_id": re.compile("C", re.I)}, {"error.detail": re.compile(re.escape("ours (IT"), re.I)}]},
    {"kind": "chat", "$or": [{"_id": "b2"}, {"size": 3}]},
]


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_the_same_is_found_as_the_store_finds(db, query):
    db.things.insert_many(DOCUMENTS)
    there = [document["_id"] for document in db.things.find(query)]
    assert [document["_id"] for document in DOCUMENTS if matches(document, query)] == sorted(there)


def test_what_a_query_reads():
    query = {"kind": "chat", "$or": [{"_id": "b2"}, {"error.code": "x"}]}
    assert fields_of(query) == {"kind", "_id", "error.code"}


def test_what_no_list_asks_is_not_guessed():
    with pytest.raises(KeyError):
        matches({"a": 1}, {"a": {"$ne": 2}})
