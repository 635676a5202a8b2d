"""Indexes: as few as the writes can bear, and one for every list."""

import pytest

from core.store.indexes import INDEXES, LISTS, index_for


def documents(collection):
    return [index.document for index in INDEXES[collection]]


def test_all_jobs_are_in_five_at_most():
    """A single update takes twice as long with six of them as with two."""
    assert len(documents("jobs")) <= 5


def test_each_list_has_an_index_that_begins_with_what_it_is_read_by():
    for collection, lists in LISTS.items():
        keys = [[*index["key"].items()] for index in documents(collection)]
        for fields in lists:
            assert [*((field, 1) for field in fields), ("created_at", -1)] in keys


def test_the_best_index_that_knows_what_is_asked_is_taken():
    mine = {"workspace_id": "w1"}
    assert index_for("jobs", mine | {"status": "failed"}) == ("workspace_id",)
    assert index_for("jobs", mine | {"status": "queued"}) == ("workspace_id",)
    assert index_for("jobs", mine | {"known_as": {"$in": ["a"]}}) == ("workspace_id",)
    assert index_for("jobs", mine | {"known_as": {"$all": ["a", "b"]}}) == ("workspace_id", "known_as")
    with pytest.raises(LookupError):
        index_for("jobs", {"status": "failed"})
