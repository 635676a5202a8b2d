"""Writes that are repeated: what is there already counts for nothing, what went wrong is told."""

import pytest
from pymongo import InsertOne, UpdateOne
from pymongo.errors import AutoReconnect, BulkWriteError, OperationFailure, WriteConcernError, WriteError

from core.store.repeat import once_it_answers, through_outages, update_where, write_missing


def test_what_is_there_already_stays_as_it_is_and_the_rest_is_inserted(db):
    db.things.insert_one({"_id": 1, "n": 1})
    assert write_missing(db.things, [InsertOne({"_id": n, "n": 0}) for n in (1, 2, 3)]) == 2
    assert sorted(thing["n"] for thing in db.things.find()) == [0, 0, 1]


def test_what_is_no_duplicate_is_an_error(db):
    db.things.insert_one({"_id": 1})
    with pytest.raises(BulkWriteError):
        write_missing(db.things, [InsertOne({"_id": 1}), UpdateOne({"_id": 1}, {"$set": {"_id": 2}})])


def test_a_write_that_the_majority_may_not_have_is_repeated():
    answers = [WriteConcernError("the primary stepped down", 189), WriteConcernError("timed out", 64)]

    def write():
        if answers:
            raise answers.pop()
        return "taken"

    assert through_outages(write, what="a write", give_up=lambda: False, pause_s=0) == "taken"


@pytest.mark.parametrize("refusal", [OperationFailure("over your space quota", 8000), AutoReconnect("away")])
def test_what_has_nothing_to_do_with_what_was_asked_is_waited_out(refusal):
    answers = [refusal, refusal]

    def write():
        if answers:
            raise answers.pop()
        return "taken"

    assert through_outages(write, what="a write", give_up=lambda: False, pause_s=0) == "taken"
    answers.append(refusal)
    with pytest.raises(type(refusal)):
        through_outages(write, what="a write", give_up=lambda: True, pause_s=0)


@pytest.mark.parametrize("error", [WriteError("no", 121), BulkWriteError({"writeErrors": []})])
def test_what_cannot_be_taken_is_not_tried_again_unless_whoever_asks_says_so(error):
    answers = [error]

    def write():
        if answers:
            raise answers.pop()
        return "taken"

    with pytest.raises(type(error)):
        through_outages(write, what="a write", give_up=lambda: False, pause_s=0)
    answers.append(error)
    given = through_outages(write, what="a write", give_up=lambda: False, passes=lambda _: True, pause_s=0)
    assert given == "taken"


def test_a_store_that_has_not_started_is_waited_for_and_one_that_refuses_is_not():
    def refused():
        raise OperationFailure("Authentication failed", 18)

    with pytest.raises(OperationFailure):
        once_it_answers(refused)


def never(_):
    return False


def test_an_update_takes_effect_where_each_value_is_as_it_was_read_and_nowhere_else(db):
    db.things.insert_one({"_id": 1, "state": "open", "fence": "a", "n": 1})
    for where in ({"state": "closed", "fence": "a"}, {"state": "open", "fence": "b"}):
        assert not update_where(db.things, 1, where, {"$set": {"n": 9}}, was_mine=never)
    assert not update_where(db.things, 2, {"state": "open"}, {"$set": {"n": 9}}, was_mine=never)
    assert db.things.find_one({}, {"_id": 0}) == {"state": "open", "fence": "a", "n": 1}
    assert update_where(
        db.things, 1, {"state": "open", "fence": "a"}, {"$set": {"state": "closed"}}, was_mine=never
    )
    assert db.things.find_one({}, {"_id": 0}) == {"state": "closed", "fence": "a", "n": 1}


def test_all_kinds_of_changes_travel_in_one_update_also_to_fields_that_are_not_there(db):
    db.things.insert_one({"_id": 1, "state": "open", "n": 1, "known": ["a"], "lost": ["x"]})
    update = {
        "$set": {"state": "closed"},
        "$inc": {"n": 2, "m": 1},
        "$push": {"lost": {"attempt": 1}, "found": {"$x": "$n"}},
        "$addToSet": {"known": {"$each": ["a", "b"]}, "others": {"$each": ["c"]}},
    }
    assert update_where(db.things, 1, {"state": "open"}, update, was_mine=never)
    found = db.things.find_one({}, {"_id": 0})
    assert (sorted(found.pop("known")), found) == (
        ["a", "b"],
        {
            "state": "closed",
            "n": 3,
            "m": 1,
            "lost": ["x", {"attempt": 1}],
            "found": [{"$x": "$n"}],
            "others": ["c"],
        },
    )


def test_what_somebody_said_is_no_field_and_no_operator(db):
    said = {"text": "$state", "$concat": ["a", "$b"], "a.b": {"$literal": 1}}
    db.things.insert_one({"_id": 1, "state": "$state"})
    assert update_where(db.things, 1, {"state": "$state"}, {"$set": {"said": said}}, was_mine=never)
    assert db.things.find_one({})["said"] == said


def test_an_update_whose_reply_was_lost_is_known_by_what_it_wrote(db):
    db.things.insert_one({"_id": 1, "state": "open"})
    closed = {"$set": {"state": "closed", "by": "me"}}
    for _ in range(2):
        assert update_where(
            db.things, 1, {"state": "open"}, closed, was_mine=lambda found: found["by"] == "me"
        )
    assert not update_where(
        db.things, 1, {"state": "open"}, closed, was_mine=lambda found: found["by"] == "you"
    )
