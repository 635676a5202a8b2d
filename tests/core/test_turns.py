"""Turns: each workspace has its share of the places, and each of its receivers too."""

from core.turns import EACH, Turns


def deliver(name, whose="w1", origin="https://a"):
    return {"_id": name, "workspace_id": whose, "origin": origin}


def waiting(turns, n, whose="w1", origin="https://a"):
    for i in range(n):
        turns.add(deliver(f"{whose}-{origin}-{i}", whose, origin))


def taken(turns):
    """Whose each of those is that get a place now."""
    return [delivery["workspace_id"] for delivery in iter(turns.next, None)]


def test_nobody_waits_so_nobody_is_next():
    assert Turns(8, 8).next() is None


def test_one_workspace_alone_leaves_places_for_the_next():
    turns = Turns(10, 10)
    waiting(turns, 20)
    assert taken(turns) == ["w1"] * 8
    waiting(turns, 20, "w2")
    assert taken(turns) == ["w2", "w2"]


def test_whoever_has_fewest_under_way_is_next():
    turns = Turns(10, 10)
    waiting(turns, 5, "w1")
    waiting(turns, 2, "w2")
    assert taken(turns) == ["w1", "w2", "w1", "w2", "w1", "w1", "w1"]
    waiting(turns, 3, "w2", "https://b")
    waiting(turns, 3, "w1", "https://b")
    assert taken(turns)[:2] == ["w2", "w2"]


def test_a_receiver_of_a_workspace_takes_few_places_and_no_other_workspaces():
    turns = Turns(20, 2)
    waiting(turns, 5, "w1", "https://slow")
    waiting(turns, 1, "w1", "https://quick")
    waiting(turns, 3, "w2", "https://slow")
    assert sorted(taken(turns)) == ["w1", "w1", "w1", "w2", "w2"]


def test_a_place_that_is_free_is_taken_and_what_is_over_may_come_again():
    turns = Turns(10, 1)
    waiting(turns, 2)
    first = turns.next()
    assert turns.next() is None
    turns.add(first)  # it is under way: known
    turns.over(first)
    turns.add(first)
    second = turns.next()
    assert second["_id"] != first["_id"]
    turns.over(second)
    assert turns.next() == first
    assert turns.next() is None


def test_so_many_of_a_workspace_are_remembered_and_all_of_the_others():
    turns = Turns(4, 4)
    waiting(turns, EACH + 10)
    waiting(turns, 1, "w2")
    seen = []
    while (found := turns.next()) is not None:
        seen.append(found)
        turns.over(found)
    assert len(seen) == EACH + 1
