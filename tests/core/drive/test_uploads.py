"""From an accepted upload to a stored file, and from a marked one to nothing; whatever dies in between."""

from __future__ import annotations

import os

import pytest

from core.clock import utcnow
from core.drive import accept, files, finish, quota, remove
from core.drive.files import DELETING
from core.errors import IdempotencyMismatch, StorageAway, TooLarge
from core.ids import new_id
from core.jobs.claim import claim
from tests.core.drive.conftest import MIB
from tests.core.drive.test_storages import names, read
from tests.core.drive.uploads import accepted, carried_out, deleted, stored, upload
from tests.factory import Sent
from workers.threads import ThreadWork

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


def test_an_upload_becomes_a_file(db, services, handlers, storage):
    record = stored(services, handlers, storage, PNG, names=["photo.jpg"])
    assert (record["name"], record["path"]) == ("photo.jpg", "photo.jpg")
    assert (record["media_type"], record["size"]) == ("image/png", len(PNG))
    assert read(storage, record["key"]) == PNG
    assert names(storage, "staging") == []
    assert names(storage, "files") == [record["key"]]
    assert record["key"].split("/")[2] == "a1"
    assert quota.used(db, "w1") == len(PNG)


def test_several_files_are_one_job(services, handlers, storage):
    job = carried_out(services, handlers, accepted(services.db, storage, b"one", b"", b"three"))
    assert [file["size"] for file in job["result"]["files"]] == [3, 0, 5]
    assert names(storage, "staging") == []


def test_its_job_is_for_the_host_that_has_the_bytes(db, local):
    sent = Sent()
    job, made = accept.accepted(db, sent, upload(db, local, b"one"), quota_bytes=None)
    assert made
    assert (job["queue"], sent.ids) == ("drive.h1", [("drive.h1", job["_id"])])


@pytest.mark.parametrize(
    ("path", "n", "paths"),
    [
        ("", 1, ["0.txt"]),
        ("a/b.txt", 1, ["a/b.txt"]),
        ("a/", 1, ["a/0.txt"]),
        ("a/", 2, ["a/0.txt", "a/1.txt"]),
        ("a", 2, ["a/0.txt", "a/1.txt"]),
        ("../../etc/passwd", 1, ["../../etc/passwd"]),
    ],
)
def test_where_a_file_is_to_be(db, local, path, n, paths):
    accepted(db, local, *[b"x"] * n, path=path)
    assert sorted(record["path"] for record in db.drive_files.find()) == paths


def test_what_does_not_fit_into_the_quota_is_not_accepted(db, local):
    accepted(db, local, b"x" * 60, quota=100)
    with pytest.raises(TooLarge):
        accepted(db, local, b"x" * 41, quota=100)
    assert db.drive_files.count_documents({}) == 1
    assert quota.used(db, "w1") == 60


def test_the_same_key_and_content_is_the_same_job(db, local):
    one, made = accept.accepted(db, Sent(), upload(db, local, b"x", key="k"), quota_bytes=None)
    two, made_again = accept.accepted(db, Sent(), upload(db, local, b"x", key="k"), quota_bytes=None)
    assert (one["_id"], made, made_again) == (two["_id"], True, False)
    assert db.drive_files.count_documents({}) == 1
    assert quota.used(db, "w1") == 1


@pytest.mark.parametrize(
    "changes",
    [{"names": ["other"]}, {"path": "elsewhere"}, {"agent_id": "a2"}, {"visibility": "workspace"}],
)
def test_the_same_key_with_something_else_is_refused(db, local, changes):
    accepted(db, local, b"x", key="k")
    with pytest.raises(IdempotencyMismatch):
        accepted(db, local, b"x", key="k", **changes)
    with pytest.raises(IdempotencyMismatch):
        accepted(db, local, b"y", key="k")


def test_of_two_at_once_with_the_same_key_one_is_kept(db, services, local, meanwhile):
    meanwhile.before("insert", "jobs", lambda: accepted(db, local, b"x", key="k"))
    _, made = accept.accepted(meanwhile.db, Sent(), upload(db, local, b"x", key="k"), quota_bytes=None)
    assert not made
    assert sorted(record["state"] for record in db.drive_files.find()) == ["arriving", "deleting"]
    assert quota.used(db, "w1") == 1


def dies_before(monkeypatch, module, name):
    """The worker's process ends just before this step, once."""

    def die(*_, **__):
        monkeypatch.undo()
        raise SystemExit

    monkeypatch.setattr(module, name, die)


@pytest.mark.parametrize(
    "step", [("storage", "read"), ("storage", "move"), (files, "store"), (files, "public")]
)
def test_a_worker_may_die_at_any_step(db, services, handlers, storage, monkeypatch, step):
    job = accepted(db, storage, b"abc")
    module, name = step
    dies_before(monkeypatch, storage if module == "storage" else module, name)
    run = a_run(services, job)
    with pytest.raises(SystemExit):
        finish.upload(run, storage)
    db.jobs.update_one({"_id": job["_id"]}, {"$set": {"status": "queued", "fence": None, "owner": None}})
    ended = carried_out(services, handlers, job)
    assert ended["status"] == "succeeded", ended["error"]
    assert read(storage, db.drive_files.find_one({})["key"]) == b"abc"
    assert names(storage, "staging") == []


def a_run(services, job):
    from core.jobs.run import Run

    return Run(services, claim(services.db, job["_id"], "p1"))


def test_bytes_that_are_not_those_that_came_are_no_file(db, services, handlers, storage):
    job = accepted(db, storage, b"abc")
    record = db.drive_files.find_one({})
    storage.delete(record["staged"])
    staging = storage.stage(record["staged"])
    staging.write(b"abd")
    staging.keep()
    ended = carried_out(services, handlers, job)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "bytes_differ")
    assert db.drive_files.find_one({})["state"] == DELETING
    assert quota.used(db, "w1") == 0


def reads(storage, monkeypatch):
    """Which parts of which objects are read from here on."""
    asked, read = [], storage.read
    monkeypatch.setattr(storage, "read", lambda *part: asked.append(part) or read(*part))
    return asked


def test_bytes_that_the_storage_answers_for_are_not_read_again(db, services, handlers, storage, monkeypatch):
    data = b"%PDF-1.7 " + bytes(6 * MIB)
    job, asked = accepted(db, storage, data), reads(storage, monkeypatch)
    ended = carried_out(services, handlers, job)
    assert (ended["status"], ended["result"]["media_type"]) == ("succeeded", "application/pdf")
    assert sum(stop - start for _, start, stop in asked) < MIB


def test_bytes_that_the_storage_does_not_answer_for_are_read(db, services, handlers, storage, monkeypatch):
    data = bytes(MIB)
    job, asked = accepted(db, storage, data), reads(storage, monkeypatch)
    db.drive_files.update_many({}, {"$set": {"said": "another"}})
    assert carried_out(services, handlers, job)["status"] == "succeeded"
    assert [len(part) for part in asked] == [1]


def test_bytes_that_are_gone_are_no_file(db, services, handlers, storage):
    job = accepted(db, storage, b"abc", b"def")
    storage.delete(db.drive_files.find_one({"size": 3})["staged"])
    ended = carried_out(services, handlers, job)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "bytes_missing")
    assert quota.used(db, "w1") == 0


def test_a_storage_that_is_away_is_waited_for(db, services, handlers, local, monkeypatch):
    if handlers["drive_upload"].args[0] is not local:
        return
    job = accepted(db, local, b"abc")
    real, failures = local.read, iter(range(2))

    def away(*args):
        if next(failures, None) is not None:
            raise StorageAway
        return real(*args)

    monkeypatch.setattr(local, "read", away)
    assert carried_out(services, handlers, job)["status"] == "succeeded"
    assert next(failures, None) is None


def test_an_upload_that_was_given_up_is_told(db, services, handlers, storage):
    job = accepted(db, storage, b"abc")
    files.mark(db, db.drive_files.find_one({}), files.ARRIVING)
    ended = carried_out(services, handlers, job)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "upload_lost")


def test_a_storage_that_was_changed_since_is_told_and_waited_for(db, services, local):
    """An operator who sets it back finds the upload where it was."""
    job = accepted(db, local, b"abc")
    db.drive_files.update_one({}, {"$set": {"storage": "s3"}})
    run = a_run(services, job)
    with pytest.raises(StorageAway):
        finish.upload(run, local)
    assert db.drive_files.find_one({})["state"] == files.ARRIVING


def test_a_deleted_file_leaves_nothing(db, services, handlers, storage):
    record = stored(services, handlers, storage, b"abc")
    assert files.mark(db, record, files.STORED)
    job = deleted(services, handlers, record)
    assert (job["status"], job["result"]) == ("succeeded", {"id": record["_id"], "deleted": True})
    assert names(storage, "files") == []
    assert db.drive_files.count_documents({}) == 0
    assert quota.used(db, "w1") == 0


def test_a_deletion_that_is_repeated_finds_nothing_to_do(db, services, handlers, storage):
    record = stored(services, handlers, storage, b"abc")
    files.mark(db, record, files.STORED)
    one = deleted(services, handlers, record)
    assert remove.begin(db, Sent(), record, by="k1", request_id="r1")["_id"] == one["_id"]


def test_a_deletion_takes_nothing_that_is_not_marked(db, services, handlers, storage):
    record = stored(services, handlers, storage, b"abc")
    deleted(services, handlers, record)
    assert read(storage, record["key"]) == b"abc"
    assert db.drive_files.count_documents({}) == 1


def test_a_worker_that_wakes_up_late_brings_no_file_back(db, services, handlers, storage):
    """It had read its upload, slept, and goes on when the file was stored by another and deleted."""
    job = accepted(db, storage, b"abc")
    late = db.drive_files.find_one({})
    carried_out(services, handlers, job)
    record = db.drive_files.find_one({})
    files.mark(db, record, files.STORED)
    deleted(services, handlers, record)
    assert not files.store(db, late, "text/plain")
    assert db.drive_files.count_documents({}) == 0


def test_a_large_upload_is_stopped_when_it_is_told_to(db, services, local):
    from core.drive.jobs import CARRIED_OUT

    job = accepted(db, local, os.urandom(2_000_000))

    def stopped_at_once(run):
        run.stop("cancelled")
        return CARRIED_OUT["drive_upload"](run, local)

    ended = carried_out(services, {"drive_upload": stopped_at_once}, job, ThreadWork)
    assert ended["status"] == "cancelled"
    assert db.drive_files.find_one({})["state"] == files.ARRIVING


def test_progress_is_on_the_job(db, services, local):
    from core.jobs import events
    from core.jobs.progress import Progress

    job = accepted(db, local, b"abc")
    clock = [0.0]
    run = a_run(services, job)
    progress = Progress(run, "bytes", total=100, monotonic=lambda: clock[0])
    progress.add(10)
    assert db.jobs.find_one({"_id": job["_id"]}).get("progress") is None
    clock[0] = 2
    progress.add(20)
    told = {"done": 30, "total": 100, "unit": "bytes"}
    assert db.jobs.find_one({"_id": job["_id"]})["progress"] == told
    assert [(kind, data) for _, kind, data in events.read(services.redis, job["_id"], (0, 0))] == [
        ("progress", told)
    ]
    clock[0] = 4
    progress.add(200)
    assert db.jobs.find_one({"_id": job["_id"]})["progress"]["done"] == 100


def test_a_claim_that_lost_its_job_tells_no_progress(db, services, local):
    from core.jobs.progress import Progress

    job = accepted(db, local, b"abc")
    run = a_run(services, job)
    db.jobs.update_one({"_id": job["_id"]}, {"$set": {"fence": "another's"}})
    Progress(run, "bytes", total=1, monotonic=iter([0.0, 5.0, 5.0]).__next__).add(1)
    assert db.jobs.find_one({"_id": job["_id"]}).get("progress") is None


def test_a_job_that_has_ended_tells_no_progress(db, services, local):
    from core.jobs.progress import Progress

    run = a_run(services, accepted(db, local, b"abc"))
    db.jobs.update_one({"_id": run.job["_id"]}, {"$set": {"status": "failed"}})
    Progress(run, "bytes", total=1, monotonic=iter([0.0, 5.0, 5.0]).__next__).add(1)
    assert db.jobs.find_one({"_id": run.job["_id"]}).get("progress") is None


def test_an_id_is_the_files_and_the_keys():
    from core.drive import keys

    file_id = new_id()
    key = keys.final("one", "a1", utcnow(), file_id)
    assert keys.file_of(key) == file_id
    assert keys.file_of("files/one/a1/20260101T000000-nonsense") is None
