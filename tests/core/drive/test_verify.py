"""Verifying: what differs is listed, orphans go after a day, what has a record stays whatever it is."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from core.clock import utcnow
from core.drive import files, installation, keys, verify
from core.errors import StorageAway
from core.ids import new_id
from core.jobs import lease
from tests.core.drive.test_storages import names, read
from tests.core.drive.uploads import HOST, accepted, carried_out, stored
from tests.factory import Sent


@pytest.fixture(autouse=True)
def workspaces(db):
    db.workspaces.insert_many([{"_id": "w1"}, {"_id": "w2"}])


@pytest.fixture
def worker(db):
    lease.register(db, role="drive", host=HOST, queues=[f"drive.{HOST}"], slots=1, version="test")


@pytest.fixture
def verified(db, services, handlers, worker):
    """The result of a verification."""

    def run():
        (job,) = verify.begin(db, Sent(), by="test")
        ended = carried_out(services, handlers, job)
        assert ended["status"] == "succeeded", ended["error"]
        return ended["result"]

    return run


def replaced(storage, key, data):
    storage.delete(key)
    put(storage, key, data)


def put(storage, key, data):
    staging = storage.stage("staging/one/put.0")
    staging.write(data)
    staging.keep()
    storage.move("staging/one/put.0", key, "text/plain")


def test_what_is_as_it_should_be_is_counted(services, handlers, storage, verified):
    stored(services, handlers, storage, b"abc")
    stored(services, handlers, storage, b"", workspace_id="w2", agent_id=None)
    assert verified() == {"checked": 2, "missing": 0, "differ": 0, "orphans": 0, "orphans_removed": 0}


def test_what_differs_is_listed_and_left_as_it_is(db, services, handlers, storage, verified):
    fine, gone, other = (stored(services, handlers, storage, data) for data in (b"fine", b"gone", b"other"))
    storage.delete(gone["key"])
    replaced(storage, other["key"], b"0ther")
    assert verified() == {"checked": 3, "missing": 1, "differ": 1, "orphans": 0, "orphans_removed": 0}
    found = verify.findings(db, HOST)
    assert (found["missing"], found["differ"]) == ([gone["_id"]], [other["_id"]])
    assert read(storage, other["key"]) == b"0ther"
    assert db.drive_files.count_documents({"state": "stored"}) == 3
    assert read(storage, fine["key"]) == b"fine"


@pytest.mark.parametrize("elsewhere", [{"host": "h2"}, {"storage": "another"}])
def test_what_is_kept_elsewhere_is_not_missing_here(db, services, handlers, storage, verified, elsewhere):
    record = stored(services, handlers, storage, b"abc")
    storage.delete(record["key"])
    db.drive_files.update_one({"_id": record["_id"]}, {"$set": elsewhere})
    assert verified() == {"checked": 0, "missing": 0, "differ": 0, "orphans": 0, "orphans_removed": 0}


def test_orphans_go_once_they_are_older_than_a_day(db, services, handlers, storage, verified, monkeypatch):
    kept = stored(services, handlers, storage, b"abc")
    orphan = keys.final(installation.name(db), "a1", utcnow(), new_id())
    put(storage, orphan, b"orphan")
    assert verified()["orphans"] == 1
    assert verify.findings(db, HOST)["orphans"] == [orphan]
    assert sorted(names(storage, "files")) == sorted([orphan, kept["key"]])
    monkeypatch.setattr(verify, "ORPHANED_FOR", timedelta(seconds=-60))
    assert verified()["orphans_removed"] == 1
    assert names(storage, "files") == [kept["key"]]


def test_nothing_that_has_a_record_is_ever_removed(db, services, handlers, storage, verified, monkeypatch):
    """Whatever the record says: another host, another storage, on its way, or marked."""
    monkeypatch.setattr(verify, "ORPHANED_FOR", timedelta(seconds=-60))
    changes = [
        {"host": "h2"},
        {"storage": "other"},
        {"state": "arriving"},
        {"state": "deleting"},
        {"size": 99},
    ]
    for n, change in enumerate(changes):
        record = stored(services, handlers, storage, bytes(n))
        db.drive_files.update_one({"_id": record["_id"]}, {"$set": change})
    assert verified()["orphans_removed"] == 0
    assert len(names(storage, "files")) == len(changes)


def test_what_others_keep_there_is_left_alone(db, storage, verified, monkeypatch):
    monkeypatch.setattr(verify, "ORPHANED_FOR", timedelta(seconds=-60))
    others = ["files/another/a1/20260101T000000-" + "0" * 32, f"files/{installation.name(db)}/a1/theirs"]
    for key in others:
        put(storage, key, b"theirs")
    assert verified() == {"checked": 0, "missing": 0, "differ": 0, "orphans": 0, "orphans_removed": 0}
    assert sorted(names(storage, "files")) == sorted(others)


def test_a_file_that_is_deleted_while_it_is_looked_at_is_not_missing(
    db, services, handlers, storage, verified, monkeypatch
):
    record = stored(services, handlers, storage, b"abc")
    real = storage.read

    def deleted_first(*args):
        files.mark(db, record, files.STORED)
        storage.delete(record["key"])
        return real(*args)

    monkeypatch.setattr(storage, "read", deleted_first)
    assert verified()["missing"] == 0


def test_an_upload_that_arrives_meanwhile_is_no_orphan(
    db, services, handlers, storage, verified, monkeypatch
):
    monkeypatch.setattr(verify, "ORPHANED_FOR", timedelta(seconds=-60))
    accepted(db, storage, b"abc")
    record = db.drive_files.find_one({})
    storage.move(record["staged"], record["key"], "text/plain")  # its worker goes on with the record next
    assert verified()["orphans_removed"] == 0


def test_a_storage_that_is_away_makes_no_file_missing(db, services, handlers, storage, verified, monkeypatch):
    stored(services, handlers, storage, b"abc")
    real, failures = storage.read, iter(range(1))

    def away(*args):
        if next(failures, None) is not None:
            raise StorageAway
        return real(*args)

    monkeypatch.setattr(storage, "read", away)
    assert verified()["missing"] == 0
    assert next(failures, None) is None


def test_each_place_is_verified_by_itself_and_only_once_at_a_time(db, worker):
    lease.register(db, role="drive", host="h2", queues=["drive.h2"], slots=1, version="test")
    lease.register(db, role="chat", host="h3", queues=["chat"], slots=1, version="test")
    one, two = verify.begin(db, Sent(), by="test"), verify.begin(db, Sent(), by="test")
    assert [job["queue"] for job in one] == ["drive.h1", "drive.h2"]
    assert [job["_id"] for job in one] == [job["_id"] for job in two]


def test_the_tick_begins_nothing_while_there_is_no_file(db, services, handlers, storage, worker):
    assert verify.tick(db, Sent()) == {"verifications": 0}
    stored(services, handlers, storage, b"abc")
    assert verify.tick(db, Sent()) == {"verifications": 1}


def test_an_orphan_that_is_kept_open_by_its_age_is_local_time(storage, db, verified):
    """A file's age is the storage's word: a clock that is ahead keeps it longer, never shorter."""
    if storage.kind == "local":
        orphan = keys.final(installation.name(db), "a1", utcnow(), new_id())
        put(storage, orphan, b"orphan")
        ahead = (utcnow() + timedelta(days=3)).timestamp()
        os.utime(storage.folder / orphan, (ahead, ahead))
        assert verified()["orphans"] == 1
