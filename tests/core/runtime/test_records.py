"""Records of agents' processes: of two who change one at the same time, the first has changed it."""

import pytest

from core.runtime import records


@pytest.fixture
def record(db):
    return records.get_or_born(db, "w1", "a1")


def test_of_two_who_change_a_record_that_both_have_read_the_second_changes_nothing(db, record):
    assert records.change(db, record, desired="running")["rev"] == record["rev"] + 1
    assert records.change(db, record, desired="stopped", purge=True) is None
    assert records.move(db, record, "starting") is None
    kept = records.find(db, "a1")
    assert (kept["desired"], kept["purge"], kept["status"], kept["events"]) == (
        "running",
        False,
        "stopped",
        [],
    )


def test_a_look_at_a_process_that_was_replaced_is_not_noted_at_the_new_one(db, record):
    old = records.change(db, record, instance="one")
    new = records.change(db, old, instance="two")
    records.sample(db, old, ready=True, memory_mb=9.0, children=3)
    assert records.find(db, "a1")["health"] == []
    records.sample(db, new, ready=True, memory_mb=9.0, children=3)
    assert [look["memory_mb"] for look in records.find(db, "a1")["health"]] == [9.0]
