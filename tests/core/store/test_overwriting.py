"""What was erased is gone from the files of the embedded stores, which are read as files here."""

from __future__ import annotations

import pytest
import redis
from pymongo import MongoClient

from core.clock import utcnow
from core.embedded import stores
from core.jobs.claim import claim, finish
from core.jobs.erasing import erase
from core.jobs.events import Emitter
from core.store import indexes, overwriting
from tests.conftest import ended, started
from tests.factory import CALL, queued
from tests.stack import free_ports
from tests.waiting import until

SAID = "a prompt that nobody shall find"
BOTH = {"redis_embedded": True, "embedded": True}


@pytest.fixture
def folder(tmp_path):
    for store in ("valkey", "mongodb"):
        (tmp_path / store).mkdir()
    return tmp_path


@pytest.fixture
def client(folder):
    port = free_ports(1)
    process = started(stores.valkey(port, folder / "valkey"), port, folder / "valkey")
    with redis.Redis(port=port) as client:
        yield client
    ended(process)


@pytest.fixture
def db(folder):
    """A store that keeps its changes for a second."""
    port = free_ports(1)
    command = stores.mongodb(port, folder / "mongodb", "--oplog-retention-seconds", "1")
    process = started(command, port, folder / "mongodb")
    with MongoClient(stores.mongodb_uri(port), tz_aware=True) as mongo:
        indexes.ensure(mongo.vutler)
        yield mongo.vutler
    ended(process)


def found(folder):
    """The files that hold what was said."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(path.name for path in files if SAID.encode() in content(path))


def content(path):
    try:
        return path.read_bytes()
    except FileNotFoundError:  # it was only for the time of a rewriting
        return b""


def chat(db, client):
    """A job that is done; its words are in both stores."""
    job = claim(db, queued(db, request={"messages": [{"role": "user", "content": SAID * 50}]})["_id"], "p1")
    Emitter(client, job["_id"], 1).emit("delta", {"type": "content", "content": SAID})
    result = {"message": {"role": "assistant", "content": SAID * 50}}
    assert finish(db, job, status="succeeded", calls=[CALL], result=result)
    return db.jobs.find_one({"_id": job["_id"]})


def test_what_was_erased_is_in_no_file_of_either_store(db, client, folder):
    jobs = [chat(db, client) for _ in range(20)]
    until(lambda: found(folder / "valkey"), "Valkey has written it down")
    assert found(folder / "mongodb")
    for job in jobs:
        erase(db, client, job)
    db.jobs.delete_one({"_id": jobs[0]["_id"]})

    def gone():
        overwriting.note(db)
        db.scheduler.update_one({"_id": overwriting.NOTE}, {"$unset": {"at": ""}})
        overwriting.tick(db, client, **BOTH)
        return not found(folder)

    until(gone, "nothing is left", every=0.3)
    assert db.jobs.count_documents({}) == 19
    assert overwriting.beside("vutler", "jobs") not in db.list_collection_names()


def test_nothing_is_written_when_nothing_was_erased(db, client):
    chat(db, client)
    assert overwriting.tick(db, client, **BOTH) == {"redis_rewritten": 0, "store_overwritten": 0}


def test_an_erasure_clears_redis_once_and_the_store_twice(db, client):
    erase(db, client, chat(db, client))
    first = overwriting.tick(db, client, **BOTH)
    again = overwriting.tick(db, client, **BOTH)
    assert (first, again) == (
        {"redis_rewritten": 1, "store_overwritten": 1},
        {"redis_rewritten": 0, "store_overwritten": 0},
    )
    done = []
    for _ in range(3):
        long_ago = utcnow() - overwriting.PAUSE
        db.scheduler.update_one({"_id": overwriting.NOTE}, {"$set": {"at": long_ago}})
        done.append(overwriting.tick(db, client, **BOTH)["store_overwritten"])
    assert done == [1, 0, 0]


def test_one_that_was_ended_in_the_midst_is_done_again(db, client):
    erase(db, client, chat(db, client))
    db[overwriting.beside(db.name, "jobs")].insert_one({"_id": 0})
    assert overwriting.tick(db, client, **BOTH)["store_overwritten"] == 1
    assert overwriting.beside("vutler", "jobs") not in db.list_collection_names()


def test_a_store_of_the_operators_own_is_left_alone(db, client):
    erase(db, client, chat(db, client))
    none = overwriting.tick(db, client, redis_embedded=False, embedded=False)
    assert none == {"redis_rewritten": 0, "store_overwritten": 0}


def test_a_redis_that_is_away_is_asked_again(db, client):
    erase(db, client, chat(db, client))
    with pytest.raises(redis.RedisError):
        overwriting.tick(db, redis.Redis(port=1), **BOTH)
    assert overwriting.tick(db, client, **BOTH)["redis_rewritten"] == 1
