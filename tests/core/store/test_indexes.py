"""Indexes: as few as the writes can bear, and one for every list."""

from core.store.indexes import INDEXES, LISTS


def test_jobs_have_at_most_five():
    """A single update takes twice as long with six of them as with two."""
    assert len(INDEXES["jobs"]) <= 5


def test_the_index_of_a_list_begins_with_what_it_is_read_by():
    for collection, fields in LISTS.items():
        (listed,) = [index.document for index in INDEXES[collection] if index.document["name"] == "listed"]
        assert [*listed["key"].items()] == [*((field, 1) for field in fields), ("created_at", -1)]
