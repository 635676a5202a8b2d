"""What arrives together: one batch, each with its own end, and nobody left waiting."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from bson.errors import InvalidDocument
from pymongo.errors import AutoReconnect, BulkWriteError, DuplicateKeyError, WriteConcernError, WriteError

from core.store import batches as module
from core.store.batches import MOST
from core.store.conditional import Conditional
from core.store.repeat import insert_once, update_where
from core.store.together import MOST_BYTES, Finds, Together, Updates
from tests.stack import ROOT
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


def test_a_thread_that_is_ended_while_it_lets_others_go_on_leaves_nobody_waiting(db, held, monkeypatch):
    class Ended(BaseException):
        pass

    def ended(_):
        raise Ended

    together = Together(held)
    with monkeypatch.context() as patched:
        patched.setattr(module.time, "sleep", ended)
        with pytest.raises(Ended):
            together.insert({"_id": "gone"})
    with ThreadPoolExecutor(1) as pool:
        pool.submit(together.insert, {"_id": "next"}).result(60)
    assert [found["_id"] for found in db.things.find()] == ["next"]


def test_greenlets_that_begin_together_travel_together():
    said = subprocess.run(
        [sys.executable, "-c", GREENLETS], check=True, capture_output=True, cwd=ROOT, text=True
    )
    assert said.stdout.split() == ["8"]


GREENLETS = """
from gevent import joinall, monkey, spawn
monkey.patch_all()
from core.store.batches import Batches

class Noted(Batches):
    def carry(self, batch):
        print(len(batch))

noted = Noted()
joinall([spawn(noted.ask, n) for n in range(8)])
"""


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


class Slow:
    """A collection whose first command waits until it is let go. It tells how many commands there were."""

    def __init__(self, collection):
        self.collection = collection
        self.codec_options = collection.codec_options
        self.begun, self.go = threading.Event(), threading.Event()
        self.commands = []

    def __getattr__(self, name):
        def command(*args, **options):
            first = not self.commands
            self.commands.append(name)
            if first:
                self.begun.set()
                assert self.go.wait(60)
            return getattr(self.collection, name)(*args, **options)

        return command


@pytest.fixture
def slow(db):
    return Slow(db.things)


def together(batches, slow, first, others):
    """Ask for these while the first is on its way; what came of the others."""
    with ThreadPoolExecutor(len(others) + 1) as pool:
        ahead = pool.submit(first)
        assert slow.begun.wait(60)
        asked = [pool.submit(each) for each in others]
        until(lambda: len(batches._waiting) == len(others), "all wait behind the first")
        slow.go.set()
        ahead.result(60)
        return asked


def test_finds_of_the_same_time_are_one_question_and_each_has_its_own(db, slow):
    db.things.insert_many({"_id": n, "n": n} for n in range(4))
    finds = Finds(slow)
    asked = [partial(finds.find, n) for n in (2, 9, 1, 2)]
    found = [one.result(60) for one in together(finds, slow, partial(finds.find, 0), asked)]
    assert found == [{"_id": 2, "n": 2}, None, {"_id": 1, "n": 1}, {"_id": 2, "n": 2}]
    assert slow.commands == ["find_one", "find"]


def closing(updates, name, state="open", by="me"):
    change = Conditional({"state": state}, {"$set": {"state": "closed", "by": by, "said": "$by"}})
    return partial(updates.update, name, change)


def test_updates_of_the_same_time_are_one_command_and_each_has_its_own_values(db, slow):
    db.things.insert_many({"_id": n, "state": "open"} for n in range(4))
    updates = Updates(slow)
    asked = [closing(updates, n, by=f"b{n}") for n in (1, 2, 3)]
    done = together(updates, slow, closing(updates, 0, by="b0"), asked)
    assert [one.result(60) for one in done] == [True] * 3
    assert slow.commands == ["update_one", "update_many"]
    assert [(found["by"], found["said"]) for found in db.things.find().sort("_id")] == [
        (f"b{n}", "$by") for n in range(4)
    ]


def test_of_updates_where_not_all_took_effect_nobody_is_told_so_and_the_documents_tell(db, slow):
    db.things.insert_many({"_id": n, "state": "open"} for n in range(4))
    updates = Updates(slow)

    def close(name, state="open"):
        was_mine = partial(mine, name)
        change = {"$set": {"state": "closed", "by": f"b{name}"}}
        return update_where(
            db.things, name, {"state": state}, change, was_mine=was_mine, write=updates.update
        )

    def mine(name, found):
        return found.get("by") == f"b{name}"

    asked = [partial(close, 1), partial(close, 2, "shut"), partial(close, 3), partial(close, 9)]
    done = together(updates, slow, partial(close, 0), asked)
    assert [one.result(60) for one in done] == [True, False, True, False]
    assert slow.commands == ["update_one", "update_many"]
    assert [found["state"] for found in db.things.find().sort("_id")] == [
        "closed",
        "closed",
        "open",
        "closed",
    ]


def test_a_large_update_goes_alone_and_one_that_is_no_document_bothers_nobody(db, slow):
    db.things.insert_many({"_id": n, "state": "open"} for n in range(3))
    updates = Updates(slow)
    large = Conditional({"state": "open"}, {"$set": {"state": "x" * (MOST_BYTES + 1)}})
    with pytest.raises(InvalidDocument):
        updates.update(1, Conditional({}, {"$set": {"state": object()}}))
    asked = [closing(updates, 1)]
    (done,) = together(updates, slow, closing(updates, 0), asked)
    assert done.result(60)
    begun, slow.commands = len(slow.commands), ["before"]
    assert begun == 2
    with ThreadPoolExecutor(2) as pool:
        updates._under_way = True  # a batch that never comes back
        assert pool.submit(updates.update, 2, large).result(60)
    assert slow.commands == ["before", "update_one"]


def test_updates_of_the_same_document_at_the_same_time_are_made_one_after_the_other(db, slow):
    db.things.insert_many({"_id": n, "state": "open"} for n in range(2))
    updates = Updates(slow)
    again = partial(updates.update, 1, Conditional({"state": "closed"}, {"$inc": {"again": 1}}))
    done = together(updates, slow, closing(updates, 0), [closing(updates, 1), again])
    assert [one.result(60) for one in done] == [True, True]
    assert db.things.find_one({"_id": 1})["again"] == 1


def test_who_travels_with_an_update_that_is_refused_is_told_what_became_of_its_own(db, slow):
    db.things.insert_many({"_id": n, "state": "open"} for n in range(4))
    updates = Updates(slow)

    def close(name, **more):
        change = {"$set": {"state": "closed", **more}, "$inc": {"times": 1}}
        return update_where(
            db.things,
            name,
            {"state": "open"},
            change,
            was_mine=lambda found: found.get("times") == 1,
            write=updates.update,
        )

    asked = [partial(close, 1), partial(close, 2, _id="another"), partial(close, 3)]
    done = together(updates, slow, partial(close, 0), asked)
    assert [type(one.exception(60)) for one in done] == [type(None), WriteError, type(None)]
    assert [done[n].result() for n in (0, 2)] == [True, True]
    assert [found.get("times") for found in db.things.find().sort("_id")] == [1, 1, None, 1]


def test_an_update_that_the_store_refuses_is_refused_alone(db, slow):
    db.things.insert_many({"_id": n, "state": "open", "n": 1} for n in range(3))
    updates = Updates(slow)
    refused = Conditional({"state": "open"}, {"$set": {"_id": "another"}})
    asked = [closing(updates, 1), partial(updates.update, 2, refused)]
    done = together(updates, slow, closing(updates, 0), asked)
    assert [type(one.exception(60)) for one in done] == [type(None), WriteError]
    assert [found["state"] for found in db.things.find().sort("_id")] == ["closed", "closed", "open"]


def test_a_duplicate_is_told_as_one_though_the_majority_may_have_nothing(db):
    class Unsure(Held):
        def insert_many(self, documents, **_):
            failed = {"index": 0, "code": 11000, "errmsg": "there"}
            raise BulkWriteError({"writeErrors": [failed], "writeConcernErrors": [{"code": 64}]})

    held = Unsure(db.things)
    errors = behind(Together(held), held, [{"_id": n} for n in range(2)])
    assert [type(error) for error in errors] == [DuplicateKeyError, WriteConcernError]
