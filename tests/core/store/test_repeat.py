"""Writes that are repeated: what is there already counts for nothing, what went wrong is told."""

import pytest
from pymongo import InsertOne, UpdateOne
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DuplicateKeyError,
    OperationFailure,
    ServerSelectionTimeoutError,
    WriteConcernError,
    WriteError,
)

from core.store import repeat
from core.store.repeat import (
    LONGEST_PAUSE_S,
    insert_once,
    once_it_answers,
    through_outages,
    update_where,
    write_missing,
)


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


def test_what_the_majority_may_not_have_is_an_error_beside_what_is_there_already():
    class Unsure:
        def bulk_write(self, *_, **__):
            concern = {"code": 64, "errmsg": "timed out"}
            raise BulkWriteError({"writeErrors": [{"code": 11000}], "writeConcernErrors": [concern]})

    with pytest.raises(BulkWriteError):
        write_missing(Unsure(), [InsertOne({"_id": 1})])


def failing(*errors):
    """A write that raises one after the other, and what it was asked to write."""
    asked, left = [], list(errors)

    def write(*given):
        asked.append(given)
        raise left.pop(0)

    return write, asked


def test_an_insert_whose_reply_was_lost_is_no_excuse_for_another_ones_document(db):
    write, _ = failing(AutoReconnect("lost"), DuplicateKeyError("the idempotency key is another job's"))
    with pytest.raises(DuplicateKeyError):
        insert_once(db.things, {"_id": 1}, write)
    db.things.insert_one({"_id": 1})
    write, _ = failing(AutoReconnect("lost"), DuplicateKeyError("it is there"))
    insert_once(db.things, {"_id": 1}, write)


def test_what_could_not_be_sent_at_all_is_not_sent_once_more(db):
    """Whoever waits has waited for a server already."""
    for writing in (
        lambda write: insert_once(db.things, {"_id": 1}, write),
        lambda write: update_where(db.things, "1", {}, {"$set": {"n": 1}}, was_mine=never, write=write),
    ):
        write, asked = failing(ServerSelectionTimeoutError("nobody is there"))
        with pytest.raises(ServerSelectionTimeoutError):
            writing(write)
        assert len(asked) == 1


def test_a_store_that_refuses_is_asked_ever_more_seldom(monkeypatch):
    pauses = []
    monkeypatch.setattr(repeat.time, "sleep", pauses.append)
    write, asked = failing(*[OperationFailure("over your space quota", 8000)] * 5)
    with pytest.raises(OperationFailure):
        through_outages(write, what="a write", give_up=lambda: len(asked) == 5, pause_s=4)
    assert pauses == [4, 8, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
