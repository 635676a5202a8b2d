"""Inserts that arrive together: one batch, each with its own end, and nobody left waiting."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from bson.errors import InvalidDocument
from pymongo.errors import AutoReconnect, DuplicateKeyError

from core.store import batches as module
from core.store.batches import MOST
from core.store.repeat import insert_once
from core.store.together import Together
from tests.waiting import until


class Held:
    """A collection whose first insert waits until it is let go, so that others gather behind it."""

    def __init__(self, collection):
        self.collection = collection
        self.begun, self.go = threading.Event(), threading.Event()
        self.sizes = []

    def insert_one(self, document):
        self.sizes.append(1)
        if document["_id"] == "first":
            self.begun.set()
            assert self.go.wait(60)
        return self.collection.insert_one(document)

    def insert_many(self, documents, **options):
        self.sizes.append(len(documents))
        return self.collection.insert_many(documents, **options)


@pytest.fixture
def held(db):
    return Held(db.things)


def behind(together, held, documents):
    """Insert these while a first one is on its way; what became of each."""
    with ThreadPoolExecutor(len(documents) + 1) as pool:
        first = pool.submit(together.insert, {"_id": "first"})
        assert held.begun.wait(60)
        others = [pool.submit(together.insert, document) for document in documents]
        until(lambda: len(together._waiting) == len(documents), "all wait behind the first")
        held.go.set()
        first.result(60)
        return [one.exception(60) for one in others]


def test_what_gathers_behind_an_insert_goes_as_one_batch(db, held):
    assert behind(Together(held), held, [{"_id": n} for n in range(10)]) == [None] * 10
    assert held.sizes == [1, 10]
    assert db.things.count_documents({}) == 11


def test_a_batch_is_bounded(db, held):
    assert behind(Together(held), held, [{"_id": n} for n in range(MOST + 5)]) == [None] * (MOST + 5)
    assert held.sizes == [1, MOST, 5]


def test_only_the_duplicate_fails(db, held):
    db.things.insert_one({"_id": 3})
    ends = behind(Together(held), held, [{"_id": n} for n in range(5)])
    assert [type(end) for end in ends] == [type(None)] * 3 + [DuplicateKeyError, type(None)]
    assert ends[3].code == 11000


def test_only_what_is_no_document_fails(db, held):
    ends = behind(Together(held), held, [{"_id": 1}, {"_id": 2, "x": object()}, {"_id": 3}])
    assert [type(end) for end in ends] == [type(None), InvalidDocument, type(None)]
    assert {found["_id"] for found in db.things.find()} == {"first", 1, 3}


def test_a_lost_reply_is_heard_by_all_and_repeated_without_harm(db, held):
    stored = held.insert_many

    def lost(documents, **options):
        held.insert_many = stored
        stored(documents, **options)
        raise AutoReconnect("the reply was lost")

    held.insert_many = lost
    together = Together(held)

    class Once:
        def insert(self, document):
            insert_once(db.things, document, together.insert)

        _waiting = together._waiting

    assert behind(Once(), held, [{"_id": n} for n in range(4)]) == [None] * 4
    assert db.things.count_documents({}) == 5


def test_a_thread_that_is_ended_while_it_carries_leaves_nobody_waiting(db, held):
    class Ended(BaseException):
        pass

    stored = held.insert_many

    def ended(documents, **options):
        held.insert_many = stored
        raise Ended

    held.insert_many = ended
    together = Together(held)
    ends = behind(together, held, [{"_id": n} for n in range(3)])
    assert [type(end) for end in ends] == [Ended] * 3
    together.insert({"_id": "next"})
    assert db.things.find_one({"_id": "next"})


def test_a_thread_that_is_ended_while_it_waits_leaves_nobody_waiting(db, held, monkeypatch):
    class Ended(BaseException):
        pass

    class Impatient(threading.Event):
        def wait(self, timeout=None):
            raise Ended

    together = Together(held)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(together.insert, {"_id": "first"})
        assert held.begun.wait(60)
        with monkeypatch.context() as patched:
            patched.setattr(module.threading, "Event", Impatient)
            with pytest.raises(Ended):
                together.insert({"_id": "gone"})
        second = pool.submit(together.insert, {"_id": "second"})
        until(lambda: len(together._waiting) == 1, "the second waits")
        held.go.set()
        first.result(60)
        second.result(60)
    assert {found["_id"] for found in db.things.find()} == {"first", "second"}
