"""The quota: exact, whoever comes, goes, repeats or dies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from core.drive import files, quota
from core.drive.accept import accepted as accept_upload
from core.drive.arrivals import Arrivals
from core.errors import TooLarge
from core.ids import new_id
from tests.core.drive.uploads import accepted, upload
from tests.factory import Sent

W = "w1"


def charge(db, size, limit=100, upload_id=None):
    quota.charge(db, W, upload_id or new_id(), size, quota=limit)


def real(db, workspace=W):
    """What the records say."""
    counted = {"workspace_id": workspace, "state": {"$in": ["arriving", "stored"]}}
    return sum(record["size"] for record in db.drive_files.find(counted))


def test_what_fits_is_taken_and_one_byte_more_is_not(db):
    charge(db, 60)
    charge(db, 40)
    with pytest.raises(TooLarge) as refused:
        charge(db, 1)
    assert refused.value.code == "quota_exceeded"
    assert quota.used(db, W) == 100
    assert quota.room(db, W, 100) == 0
    charge(db, 0)


def test_without_a_quota_it_is_counted_all_the_same(db):
    charge(db, 10**13, limit=None)
    assert quota.used(db, W) == 10**13
    assert quota.room(db, W, None) is None


def test_each_workspace_has_its_own(db):
    charge(db, 100)
    quota.charge(db, "w2", new_id(), 100, quota=100)
    assert (quota.used(db, W), quota.used(db, "w2")) == (100, 100)


def test_a_charge_that_is_repeated_counts_once(db):
    upload_id = new_id()
    charge(db, 60, upload_id=upload_id)
    charge(db, 60, upload_id=upload_id)
    assert quota.used(db, W) == 60


def test_many_at_once_fill_it_to_the_byte_and_no_further(db):
    def one(_):
        try:
            charge(db, 7)
        except TooLarge:
            return 0
        return 7

    with ThreadPoolExecutor(16) as pool:
        taken = sum(pool.map(one, range(60)))
    assert taken == quota.used(db, W) == 98


def test_many_uploads_and_deletions_at_once_stay_exact(db, local):
    def one(n):
        try:
            job = accepted(db, local, bytes(7), quota=100)
        except TooLarge:
            return
        record = db.drive_files.find_one({"_id": job["request"]["files"][0]})
        if n % 3:
            files.mark(db, record, files.ARRIVING)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(80)))
    assert quota.used(db, W) == real(db) <= 100


def test_room_that_a_deletion_made_is_there_at_once(db, local):
    job = accepted(db, local, b"x" * 100, quota=100)
    with pytest.raises(TooLarge):
        accepted(db, local, b"x", quota=100)
    files.mark(db, db.drive_files.find_one({"_id": job["request"]["files"][0]}), files.ARRIVING)
    accepted(db, local, b"x" * 100, quota=100)
    assert quota.used(db, W) == real(db) == 100


def test_marking_twice_frees_once(db, local):
    accepted(db, local, b"x" * 10)
    record = db.drive_files.find_one({})
    accepted(db, local, b"x" * 5)
    assert files.mark(db, record, files.ARRIVING)
    assert not files.mark(db, record, files.ARRIVING)
    assert quota.used(db, W) == 5


def test_what_is_charged_while_the_sum_is_computed_is_not_lost(db, local, meanwhile):
    accepted(db, local, b"x" * 10)
    quota.changed(db, W)
    meanwhile.before("aggregate", "drive_files", lambda: charge(db, 20))
    assert not quota.recompute(meanwhile.db, W)
    assert quota.used(db, W) == 30


def test_what_is_settled_while_the_sum_is_computed_is_counted_once(db, local, meanwhile):
    quota.changed(db, W)
    meanwhile.before("aggregate", "drive_files", lambda: accepted(db, local, b"x" * 10))
    quota.recompute(meanwhile.db, W)
    assert quota.used(db, W) == real(db) == 10


def test_what_goes_while_the_sum_is_computed_is_not_kept(db, local, meanwhile):
    accepted(db, local, b"x" * 10)
    record = db.drive_files.find_one({})
    quota.changed(db, W)
    meanwhile.before("update", "drive_usage", lambda: files.mark(db, record, files.ARRIVING))
    quota.recompute(meanwhile.db, W)
    assert quota.used(db, W) == 0


def test_what_a_dead_process_charged_is_free_again(db):
    here, upload_id = Arrivals(db), new_id()
    here.begin(upload_id, W, None)
    charge(db, 60, upload_id=upload_id)
    quota.tick(db)
    assert quota.used(db, W) == 60
    here.end(upload_id)
    quota.tick(db)
    assert quota.used(db, W) == 0
    assert db.drive_usage.find_one({"_id": W})["open"] == {}


def test_what_a_dead_process_left_open_is_counted_once_when_its_records_are_there(db, local):
    job = accepted(db, local, b"x" * 10, upload_id=new_id())
    db.drive_usage.update_one({"_id": W}, {"$set": {f"open.{job['_id']}": 10}})  # its settling was lost
    quota.tick(db)
    quota.changed(db, W)
    assert quota.used(db, W) == 10


def test_an_upload_that_is_open_beside_its_records_is_counted_once(db, local):
    """The sum is computed between its records and their settling."""
    job = accepted(db, local, b"x" * 10, upload_id=new_id())
    db.drive_usage.update_one({"_id": W}, {"$set": {f"open.{job['_id']}": 10, "stale": True}})
    assert quota.used(db, W) == 10


def test_an_upload_that_was_taken_for_dead_is_counted_all_the_same(db, local, meanwhile):
    """Between its charge and its records its process slept."""
    slept = upload(db, local, b"x" * 10, upload_id=new_id())
    meanwhile.before("insert", "drive_files", lambda: quota.tick(db))
    accept_upload(meanwhile.db, Sent(), slept, quota_bytes=None)
    assert quota.used(db, W) == real(db) == 10


def test_the_tick_computes_what_is_stale(db, local):
    accepted(db, local, b"x" * 10)
    files.mark(db, db.drive_files.find_one({}), files.ARRIVING)
    assert quota.tick(db) == {"closed": 0, "computed": 1}
    assert db.drive_usage.find_one({"_id": W})["bytes"] == 0
    assert quota.tick(db) == {"closed": 0, "computed": 0}


def test_a_workspace_that_never_uploaded_has_used_nothing(db):
    assert quota.used(db, "new") == 0
    assert quota.room(db, "new", 5) == 5


def test_a_smaller_quota_takes_nothing_away(db):
    charge(db, 60)
    assert quota.room(db, W, 10) == 0
    with pytest.raises(TooLarge):
        charge(db, 1, limit=10)


def test_a_charge_that_is_repeated_counts_once_also_where_it_would_fit_twice(db):
    upload_id = new_id()
    assert quota.used(db, W) == 0
    for _ in range(2):
        charge(db, 60, limit=None, upload_id=upload_id)
    assert quota.used(db, W) == 60


def test_a_neighbours_files_take_nothing_of_the_quota_when_it_is_computed_anew(db, local):
    accepted(db, local, bytes(60), workspace_id="w2")
    accepted(db, local, bytes(7))
    quota.changed(db, W)
    assert (quota.used(db, W), quota.used(db, "w2")) == (7, 60)
