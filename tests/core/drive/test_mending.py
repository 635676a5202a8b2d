"""What dead processes and failed jobs leave behind is brought to its end: arrivals, records, staged files."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from core.clock import utcnow
from core.drive import arrivals, files, installation, keys, mend, quota, remove, sweep
from core.drive.arrivals import Arrivals
from core.errors import Conflict, StorageAway
from core.ids import new_id
from core.jobs import control
from core.jobs.claim import claim, finish
from core.jobs.run import Run
from tests.core.drive.test_storages import names
from tests.core.drive.uploads import accepted, carried_out, deleted, staged, stored, upload
from tests.factory import Sent
from tests.waiting import until

LATER = arrivals.DEAD_AFTER + timedelta(seconds=1)


def mended(db, sent=None, staging_s=3600):
    return mend.tick(db, sent or Sent(), staging_s=staging_s)


def older(db, collection, field, age):
    db[collection].update_many({}, {"$set": {field: utcnow() - age}})


def states(db):
    return [record["state"] for record in db.drive_files.find()]


def test_two_uploads_with_one_key_do_not_arrive_at_once(db):
    here, there = Arrivals(db), Arrivals(db)
    here.begin("u1", "w1", "k")
    with pytest.raises(Conflict):
        there.begin("u2", "w1", "k")
    there.begin("u3", "w2", "k")
    there.begin("u4", "w1", None)
    there.begin("u5", "w1", None)
    here.end("u1")
    there.begin("u2", "w1", "k")
    assert arrivals.living(db, "u2")
    assert not arrivals.living(db, "u1")


def test_the_key_of_a_dead_upload_is_free(db):
    Arrivals(db).begin("u1", "w1", "k")
    older(db, "drive_uploads", "renewed_at", LATER)
    Arrivals(db).begin("u2", "w1", "k")
    assert [upload["_id"] for upload in db.drive_uploads.find()] == ["u2"]


def test_the_key_of_a_dead_upload_is_free_whoever_else_uses_the_same(db):
    Arrivals(db).begin("u1", "w2", "k")
    Arrivals(db).begin("u2", "w1", "k")
    db.drive_uploads.update_one({"_id": "u2"}, {"$set": {"renewed_at": utcnow() - LATER}})
    Arrivals(db).begin("u3", "w1", "k")
    assert sorted(upload["_id"] for upload in db.drive_uploads.find()) == ["u1", "u3"]


def test_an_upload_that_showed_itself_just_now_is_not_forgotten(db, meanwhile):
    here = Arrivals(db)
    here.begin("u1", "w1", "k")
    older(db, "drive_uploads", "renewed_at", LATER)
    meanwhile.before("delete", "drive_uploads", here.renew)
    with pytest.raises(Conflict):
        Arrivals(meanwhile.db).begin("u2", "w1", "k")
    assert arrivals.living(db, "u1")


def test_a_process_renews_all_that_arrive_there_and_no_others(db):
    here = Arrivals(db)
    for upload_id in ("u1", "u2"):
        here.begin(upload_id, "w1", None)
    Arrivals(db).begin("u3", "w1", None)
    older(db, "drive_uploads", "renewed_at", LATER)
    here.renew()
    assert mended(db)["uploads_lost"] == 1
    assert arrivals.living(db, "u1")
    assert arrivals.living(db, "u2")
    here.start()
    here.close()


def without_a_job(db, storage, upload_id=None):
    """An upload whose web process died between its records and its job."""
    job = accepted(db, storage, b"abc", upload_id=upload_id or new_id())
    db.jobs.delete_one({"_id": job["_id"]})
    return job["_id"]


def test_a_file_whose_upload_never_became_a_job_is_given_up(db, local):
    without_a_job(db, local)
    assert mended(db)["files_given_up"] == 0
    older(db, "drive_files", "created_at", timedelta(hours=2))
    assert mended(db)["files_given_up"] == 1
    assert states(db) == ["deleting"]
    assert quota.used(db, "w1") == 0


def test_a_file_whose_upload_still_arrives_is_not(db, local):
    upload_id = without_a_job(db, local)
    older(db, "drive_files", "created_at", timedelta(hours=2))
    Arrivals(db).begin(upload_id, "w1", None)
    assert mended(db)["files_given_up"] == 0


def test_a_file_whose_job_waits_is_not_given_up_however_long(db, local):
    accepted(db, local, b"abc")
    older(db, "drive_files", "created_at", timedelta(days=9))
    assert mended(db)["files_given_up"] == 0
    assert states(db) == ["arriving"]


def test_files_whose_jobs_wait_hide_none_that_is_lost(db, local, monkeypatch):
    monkeypatch.setattr(mend, "A_TICK", 2)
    lost = [without_a_job(db, local)]
    for _ in range(4):
        accepted(db, local, b"abc")
    lost.append(without_a_job(db, local))
    older(db, "drive_files", "created_at", timedelta(hours=2))
    assert [mended(db)["files_given_up"] for _ in range(4)] == [1, 0, 1, 0]
    given_up = db.drive_files.find({"state": files.DELETING}).sort("_id", 1)
    assert [record["upload_id"] for record in given_up] == lost
    without_a_job(db, local)
    assert [mended(db, staging_s=0)["files_given_up"] for _ in range(3)] == [0, 0, 1]


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_file_whose_job_ended_badly_is_given_up(db, services, local, status):
    job = accepted(db, local, b"abc")
    if status == "cancelled":
        control.cancel(db, services.redis, job)
    else:
        finish(db, claim(db, job["_id"], "p1"), status="failed", calls=[])
    assert mended(db)["files_given_up"] == 1
    assert states(db) == ["deleting"]


def test_what_was_given_up_is_not_stored(db, local):
    accepted(db, local, b"abc")
    record = db.drive_files.find_one({})
    assert files.mark(db, record, files.ARRIVING)
    assert not files.store(db, record, "text/plain")
    assert states(db) == [files.DELETING]


def test_a_file_that_was_stored_just_now_stays(db, services, handlers, storage, meanwhile):
    job = accepted(db, storage, b"abc")
    meanwhile.before("find", "jobs", lambda: carried_out(services, handlers, job))
    mended(meanwhile.db)
    assert states(db) == ["stored"]


def test_what_is_marked_gets_a_job_that_removes_it(db, services, handlers, storage):
    record = stored(services, handlers, storage, b"abc")
    files.mark(db, record, files.STORED)  # and its web process died
    assert mended(db)["deletes_sent"] == 0
    older(db, "drive_files", "updated_at", timedelta(minutes=1))
    sent = Sent()
    assert mended(db, sent)["deletes_sent"] == 1
    assert mended(db)["deletes_sent"] == 0
    ((queue, job_id),) = sent.ids
    assert queue == "drive.h1"
    carried_out(services, handlers, {"_id": job_id})
    assert states(db) == []
    assert names(storage, "files") == []


def test_a_removal_that_failed_is_begun_again(db, services, local):
    accepted(db, local, b"abc")
    files.mark(db, db.drive_files.find_one({}), files.ARRIVING)
    seen = []
    for _ in range(3):
        older(db, "drive_files", "updated_at", timedelta(minutes=1))
        sent = Sent()
        mended(db, sent)
        ((_, job_id),) = sent.ids
        seen.append(job_id)
        finish(db, claim(db, job_id, "p1"), status="failed", calls=[])
    assert len(set(seen)) == 3


def test_while_a_removal_waits_no_other_is_begun(db, local):
    accepted(db, local, b"abc")
    files.mark(db, db.drive_files.find_one({}), files.ARRIVING)
    for _ in range(3):
        older(db, "drive_files", "updated_at", timedelta(minutes=1))
        mended(db)
    assert db.jobs.count_documents({"kind": "drive_delete"}) == 1


def make_older(storage, key, age):
    if storage.kind == "local":
        then = (utcnow() - age).timestamp()
        os.utime(storage.folder / key, (then, then))


def swept(db, storage, staging_s=0):
    return sweep.sweep(db, storage, staging_s=staging_s)


def test_what_a_dead_upload_staged_is_swept(db, storage):
    staged(db, storage, b"abc", upload_id="dead")
    half = storage.stage(keys.staged(installation.name(db), "dead", 1))
    half.write(b"x" * 6_000_000)
    done = []
    until(lambda: done.append(swept(db, storage)) or sum(done) >= 2, "both are swept")  # it is still written
    assert sum(done) == 2
    assert names(storage, "staging") == []


def test_what_is_staged_is_left_alone_for_its_time(db, local):
    staged(db, local, b"abc", upload_id="dead")
    assert swept(db, local, staging_s=60) == 0
    make_older(local, names(local, "staging")[0], timedelta(seconds=61))
    assert swept(db, local, staging_s=60) == 1


def test_what_arrives_just_now_is_left_alone_however_old(db, storage):
    staged(db, storage, b"abc", upload_id="u1")
    here = Arrivals(db)
    here.begin("u1", "w1", None)
    assert swept(db, storage) == 0
    here.end("u1")
    assert swept(db, storage) == 1


def test_what_a_job_is_writing_is_left_alone_until_it_has_ended(db, storage):
    staged(db, storage, b"abc", upload_id="j1")
    db.jobs.insert_one({"_id": "j1", "kind": "agent_export", "status": "running"})
    assert swept(db, storage) == 0
    db.jobs.update_one({"_id": "j1"}, {"$set": {"status": "failed"}})
    assert swept(db, storage) == 1


def test_what_waits_for_its_job_is_left_alone_however_old(db, storage):
    accepted(db, storage, b"abc")
    assert swept(db, storage) == 0
    files.mark(db, db.drive_files.find_one({}), files.ARRIVING)
    assert swept(db, storage) == 1


def test_what_another_installation_staged_is_not_ours(db, storage):
    staging = storage.stage("staging/another/u1.0")
    staging.write(b"abc")
    staging.keep()
    assert swept(db, storage) == 0
    assert names(storage, "staging") == ["staging/another/u1.0"]


def test_an_installation_keeps_its_name(db, mongo):
    assert installation.name(db) == installation.name(db)
    assert len(installation.name(db)) == 8


def test_of_two_processes_that_ask_first_both_get_one_name(db, meanwhile):
    meanwhile.before("insert", "drive", lambda: installation.name(db))
    assert installation.name(meanwhile.db) == installation.name(db)


def test_a_sweeper_sweeps_by_itself(db, local):
    staged(db, local, b"abc", upload_id="dead")
    sweeper = sweep.sweeper(db, local, staging_s=0.01)
    sweeper.start()
    until(lambda: not names(local, "staging"), "nothing is left")
    sweeper.close()


def test_an_upload_is_never_swept_from_under_its_worker(db, services, handlers, storage):
    """Swept at each step of its way, it arrives all the same."""
    here, upload_id = Arrivals(db), new_id()
    here.begin(upload_id, "w1", None)
    made = upload(db, storage, b"abc", upload_id=upload_id)
    swept(db, storage)
    from core.drive import accept

    job = accept.accepted(db, Sent(), made, quota_bytes=None)[0]
    swept(db, storage)
    here.end(upload_id)
    swept(db, storage)
    assert carried_out(services, handlers, job)["status"] == "succeeded"
    swept(db, storage)
    assert len(names(storage, "files")) == 1


def test_a_file_that_is_kept_elsewhere_is_not_called_deleted(db, services, handlers, storage):
    """DRIVE_STORAGE was changed: its bytes are where nobody looks now."""
    record = stored(services, handlers, storage, b"abc")
    db.drive_files.update_one({"_id": record["_id"]}, {"$set": {"storage": "elsewhere"}})
    files.mark(db, record, "stored")
    job = remove.begin(db, Sent(), record, by="k1", request_id="r1")
    run = Run(services, claim(db, job["_id"], "p1"))
    run.told_to_stop.set()
    with pytest.raises(StorageAway):
        handlers["drive_delete"](run)
    assert states(db) == ["deleting"]


def test_the_bytes_of_an_upload_that_came_to_nothing_go_with_its_record(db, services, handlers, storage):
    without_a_job(db, storage)
    (record,) = db.drive_files.find()
    files.mark(db, record, "arriving")
    deleted(services, handlers, record)
    assert (states(db), names(storage, "staging")) == ([], [])
