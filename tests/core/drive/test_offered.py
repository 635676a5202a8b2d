"""What an agent's process offers: taken up whole, once, and nothing that lies elsewhere."""

from __future__ import annotations

import os
import time

import pytest

from core.drive import files, quota
from core.drive.files import STORED
from core.drive.local import LocalStorage
from core.drive.mirror import Mirror
from core.drive.offered import BY, Offered
from core.errors import StorageAway
from tests.core.drive.uploads import placed
from tests.factory import Sent

LONG_AGO = time.time() - 100


class Unmovable(LocalStorage):
    """A storage that goes away just before the end."""

    def move(self, staged, key, media_type):
        raise StorageAway


class Meanwhile(LocalStorage):
    """Something happens once a file is begun with."""

    def __init__(self, folder, act):
        super().__init__(folder)
        self.act = act
        self.written = 0

    def stage(self, key):
        staging = super().stage(key)
        write = staging.write

        def counted(data):
            self.written += len(data)
            write(data)

        staging.write = counted
        self.act()
        return staging


@pytest.fixture
def box(tmp_path):
    folder = tmp_path / "box"
    (folder / "workspace/out").mkdir(parents=True)
    return folder


@pytest.fixture
def offering(db, local, box):
    return Offered(db, local, box, placed(db, local))


def wrote(box, name, data, when=LONG_AGO):
    path = box / "workspace/out" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (when, when))
    return path


def push(offering, largest=10_000, quota_bytes=None, **more):
    return offering.push(Sent(), largest=largest, quota_bytes=quota_bytes, **more)


def offered(db):
    found = db.drive_files.find({"created_by": BY, "state": "stored"})
    return sorted((record["path"], record["size"]) for record in found)


def test_what_a_process_offers_becomes_a_file(db, local, box, offering):
    wrote(box, "deep/report.txt", b"report")
    assert push(offering) == 1
    record = db.drive_files.find_one({})
    assert (record["path"], record["name"], record["agent_id"]) == ("out/deep/report.txt", "report.txt", "a1")
    assert (record["state"], record["media_type"]) == ("stored", "text/plain")
    assert quota.used(db, "w1") == 6
    assert push(offering) == 0
    assert list(local.list("staging")) == []


def test_another_mirror_offers_nothing_twice(db, local, box, offering):
    wrote(box, "a.txt", b"one")
    push(offering)
    assert push(Offered(db, local, box, placed(db, local))) == 0
    assert offered(db) == [("out/a.txt", 3)]


def test_what_was_deleted_in_the_drive_is_not_offered_again(db, local, box, offering):
    """Not by another worker either; but what is written anew is."""
    wrote(box, "a.txt", b"one")
    push(offering)
    assert files.mark(db, db.drive_files.find_one({}), STORED)
    assert push(offering) == 0
    assert push(Offered(db, local, box, placed(db, local))) == 0
    wrote(box, "a.txt", b"one", LONG_AGO + 5)
    assert push(Offered(db, local, box, placed(db, local))) == 1


def test_what_was_taken_away_and_written_again_is_offered_again(db, local, box, offering):
    path = wrote(box, "a.txt", b"one")
    push(offering)
    files.mark(db, db.drive_files.find_one({}), STORED)
    path.unlink()
    assert push(offering) == 0
    wrote(box, "a.txt", b"one")
    assert push(Offered(db, local, box, placed(db, local))) == 1


@pytest.mark.parametrize("notes", ["", "[]", "{", '{"workspace/out/a.txt": 1}'])
def test_notes_that_say_nothing_lose_nothing(db, local, box, notes):
    box.with_name("offered.json").write_text(notes)
    wrote(box, "a.txt", b"one")
    assert push(Offered(db, local, box, placed(db, local))) == 1


def test_a_new_version_takes_the_place_of_the_old(db, box, offering):
    wrote(box, "a.txt", b"one")
    push(offering)
    wrote(box, "a.txt", b"three", LONG_AGO + 5)
    assert push(offering) == 1
    assert offered(db) == [("out/a.txt", 5)]
    assert quota.used(db, "w1") == 5


def test_what_is_still_being_written_waits(box, offering):
    wrote(box, "a.txt", b"one", time.time())
    assert push(offering) == 0


def test_what_it_offers_is_not_brought_back(db, local, box, offering):
    wrote(box, "a.txt", b"one")
    push(offering)
    assert Mirror(db, local, box, placed(db, local)).pull() == 0


def test_links_in_what_it_offers_lead_nowhere(db, box, offering, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (box / "workspace/out/a").symlink_to(secret)
    (box / "workspace/out/b").symlink_to(tmp_path)
    assert push(offering) == 0
    (box / "workspace/out/a").unlink()
    (box / "workspace/out/b").unlink()
    (box / "workspace/out").rmdir()
    (box / "workspace/out").symlink_to(tmp_path)
    assert push(offering) == 0
    assert offered(db) == []


def test_what_is_too_large_or_over_the_quota_is_left(db, local, box, offering):
    wrote(box, "large", b"x" * 101)
    wrote(box, "small", b"x" * 50)
    assert push(offering, largest=100, quota_bytes=49) == 0
    assert list(local.list("staging")) == list(local.list("files")) == []
    assert quota.used(db, "w1") == 0


def test_a_name_that_is_no_text_is_kept_as_well_as_it_can_be(db, box, offering):
    name = os.fsencode(box / "workspace/out") + b"/\xff.txt"
    with open(name, "wb") as file:
        file.write(b"x")
    os.utime(name, (LONG_AGO, LONG_AGO))
    assert push(offering) == 1
    assert offered(db) == [("out/\ufffd.txt", 1)]


def test_a_file_that_cannot_be_given_its_place_is_given_up_and_offered_again(db, local, box):
    offering = Offered(db, Unmovable(local.folder), box, placed(db, local))
    wrote(box, "a.txt", b"one")
    with pytest.raises(StorageAway):
        push(offering)
    assert [(record["state"], record["created_by"]) for record in db.drive_files.find()] == [("deleting", BY)]
    assert quota.used(db, "w1") == 0
    offering.storage = local
    assert push(offering) == 1
    assert offered(db) == [("out/a.txt", 3)]


def test_what_had_no_room_is_taken_once_there_is(db, box, offering):
    wrote(box, "a.txt", b"one")
    assert push(offering, quota_bytes=2) == 0
    assert push(offering, quota_bytes=3) == 1


def test_what_changes_while_it_is_read_is_left(db, local, box):
    path = wrote(box, "a.txt", b"one")
    changing = Meanwhile(local.folder, lambda: path.write_bytes(b"two"))
    assert push(Offered(db, changing, box, placed(db, local))) == 0
    assert offered(db) == []
    assert list(local.list("staging")) == []


def test_what_grows_while_it_is_read_is_read_to_the_limit_alone(db, local, box):
    path = wrote(box, "a.txt", b"one")
    growing = Meanwhile(local.folder, lambda: path.write_bytes(b"x" * 10_000_000))
    assert push(Offered(db, growing, box, placed(db, local)), largest=1000) == 0
    assert growing.written < 2_000_000
    assert list(local.list("staging")) == []


def test_a_look_takes_so_many(db, box, offering):
    for name in "abc":
        wrote(box, name, name.encode())
    assert push(offering, most=2) == 2
    assert push(offering, most=2) == 1
    assert len(offered(db)) == 3


def test_versions_that_a_dead_worker_left_go(db, local, box, offering):
    """It died between the new one and the removal of the old, so it noted nothing."""
    wrote(box, "a.txt", b"one")
    push(offering)
    box.with_name("offered.json").unlink()
    old = db.drive_files.find_one({})
    db.drive_files.insert_one({**old, "_id": "older", "sha256": "0" * 64, "size": 1})
    assert push(Offered(db, local, box, placed(db, local))) == 0
    assert offered(db) == [("out/a.txt", 3)]


def test_a_file_of_the_same_path_that_a_user_made_stays(db, box, offering):
    wrote(box, "a.txt", b"one")
    push(offering)
    of_user = {**db.drive_files.find_one({}), "_id": "theirs", "created_by": "k1"}
    of_another = {**db.drive_files.find_one({}), "_id": "another", "agent_id": "a2"}
    db.drive_files.insert_many([of_user, of_another])
    wrote(box, "a.txt", b"three", LONG_AGO + 5)
    push(offering)
    assert {record["_id"] for record in db.drive_files.find({"state": "stored", "size": 3})} == {
        "theirs",
        "another",
    }


def test_of_what_is_known_to_be_too_large_nothing_is_read(db, local, box):
    counting = Meanwhile(local.folder, lambda: None)
    wrote(box, "a.txt", b"one")
    assert push(Offered(db, counting, box, placed(db, local)), largest=2) == 0
    assert counting.written == 0
