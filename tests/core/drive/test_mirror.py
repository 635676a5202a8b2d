"""An agent's files beside its process: brought in, kept as they are, and no way out of the folder."""

from __future__ import annotations

import pytest

from core.drive import files, folders, mirror
from core.drive.mirror import Mirror, paths
from tests.core.drive.uploads import deleted, placed, stored
from tests.naughty import ODDEST


@pytest.fixture
def box(tmp_path):
    folder = tmp_path / "box"
    (folder / "workspace").mkdir(parents=True)
    return folder


@pytest.fixture
def mirrored(db, local, box):
    return Mirror(db, local, box, placed(db, local))


@pytest.fixture
def storage(local):
    return local


def seen(box):
    folder = box / "workspace/drive"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_agent_sees_its_files_and_no_others(services, handlers, local, box, mirrored):
    stored(services, handlers, local, b"one", names=["a.txt"], path="in/a.txt")
    stored(services, handlers, local, b"two", names=["b.txt"], agent_id="a2")
    stored(services, handlers, local, b"three", names=["c.txt"], agent_id=None, visibility="workspace")
    assert mirrored.pull() == 1
    assert seen(box) == {"in/a.txt": b"one"}
    assert mirrored.pull() == 0


def test_what_changes_in_the_drive_changes_there(db, services, handlers, local, box, mirrored):
    record = stored(services, handlers, local, b"one", names=["a.txt"])
    mirrored.pull()
    files.change(db, record, {"path": "b/moved.txt"})
    mirrored.pull()
    assert seen(box) == {"b/moved.txt": b"one"}
    files.mark(db, record, files.STORED)
    deleted(services, handlers, record)
    mirrored.pull()
    assert seen(box) == {}


def test_what_a_process_changed_is_put_right(services, handlers, local, box, mirrored):
    stored(services, handlers, local, b"one", names=["a.txt"])
    mirrored.pull()
    (box / "workspace/drive/a.txt").write_bytes(b"0ne")
    (box / "workspace/drive/more.txt").write_bytes(b"more")
    mirrored.pull()
    assert seen(box) == {"a.txt": b"one"}


def test_a_link_in_its_place_leads_nowhere(services, handlers, local, box, mirrored, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    stored(services, handlers, local, b"one", names=["a.txt"], path="in/a.txt")
    (box / "workspace/drive").mkdir()
    (box / "workspace/drive/in").symlink_to(elsewhere)
    assert mirrored.pull() == 0
    assert list(elsewhere.iterdir()) == []
    (box / "workspace/drive/in").unlink()
    (box / "workspace/drive").rmdir()
    (box / "workspace/drive").symlink_to(elsewhere)
    assert mirrored.pull() == 0
    assert list(elsewhere.iterdir()) == []


def test_no_name_is_a_way_out():
    records = [{"_id": f"id{n}", "path": path, "name": path} for n, path in enumerate(ODDEST)]
    found = paths(records)
    assert len(found) == len(ODDEST)
    for path in found:
        assert path
        for part in path:
            assert part not in ("", ".", "..")
            assert "/" not in part
            assert "\0" not in part
            assert len(part.encode()) < 255


def test_no_file_takes_anothers_place():
    records = [
        {"_id": f"id{n}", "path": path, "name": "x"} for n, path in enumerate(["a", "a", "a/b", "c/d", "c"])
    ]
    assert list(paths(records)) == [("a",), ("id1-x",), ("id2-x",), ("c", "d"), ("id4-x",)]


def test_a_file_takes_the_place_of_the_folder_that_it_was_in(db, services, handlers, local, box, mirrored):
    record = stored(services, handlers, local, b"one", names=["a.txt"], path="a/b.txt")
    mirrored.pull()
    files.change(db, record, {"path": "a"})
    mirrored.pull()
    assert seen(box) == {"a": b"one"}
    (box / "workspace/drive/a").unlink()
    (box / "workspace/drive/a").mkdir()
    mirrored.pull()
    assert seen(box) == {"a": b"one"}
    assert mirrored.pull() == 0


def test_a_path_of_too_many_folders_is_no_path():
    deepest = "/".join("a" * mirror.DEEPEST)
    records = [
        {"_id": f"id{n}", "path": path, "name": "x"} for n, path in enumerate([deepest, f"b/{deepest}"])
    ]
    assert list(paths(records)) == [tuple(deepest.split("/")), ("id1-x",)]


def test_a_file_at_the_greatest_depth_is_seen_again(services, handlers, local, mirrored):
    stored(services, handlers, local, b"one", names=["a.txt"], path="/".join("a" * mirror.DEEPEST))
    assert mirrored.pull() == 1
    assert mirrored.pull() == 0


def test_a_look_brings_so_many(services, handlers, local, box, mirrored):
    for name in "abc":
        stored(services, handlers, local, b"one", names=[name])
    assert mirrored.pull(most=2) == 2
    assert mirrored.pull(most=2) == 1
    assert len(seen(box)) == 3


def test_a_file_without_its_bytes_holds_up_no_other(services, handlers, local, box, mirrored):
    lost = stored(services, handlers, local, b"one", names=["a"])
    stored(services, handlers, local, b"two", names=["b"])
    local.delete(lost["key"])
    assert mirrored.pull() == 1
    assert seen(box) == {"b": b"two"}


def test_folders_without_end_are_not_followed(box, mirrored):
    folder = box / "workspace/drive"
    for _ in range(folders.DEEPEST + 5):
        folder.mkdir()
        folder = folder / "d"
    (folder.parent / "deep.txt").write_text("x")
    (box / "workspace/drive/d/d/high.txt").write_text("x")
    assert mirrored.pull() == 1
    assert (folder.parent / "deep.txt").exists()


def test_a_file_that_is_kept_in_another_storage_is_not_brought(db, services, handlers, local, box, mirrored):
    record = stored(services, handlers, local, b"one", names=["a.txt"])
    db.drive_files.update_one({"_id": record["_id"]}, {"$set": {"storage": "elsewhere"}})
    assert mirrored.pull() == 0
    assert seen(box) == {}
