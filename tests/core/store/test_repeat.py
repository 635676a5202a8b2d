"""Writes that are repeated: what is there already counts for nothing, what went wrong is told."""

import pytest
from pymongo import InsertOne, UpdateOne
from pymongo.errors import BulkWriteError, WriteConcernError

from core.store.repeat import through_outages, write_missing


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
