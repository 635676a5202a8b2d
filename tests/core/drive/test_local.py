"""What only a folder can do wrong: links that lead elsewhere, a disk that is full or gone."""

from __future__ import annotations

import os
import resource
from contextlib import contextmanager

import pytest

from core.drive import local as local_module
from core.drive.local import LocalStorage
from core.errors import BytesMissing, StorageAway, StorageFull
from tests.core.drive.test_storages import KEY, STAGED, kept, names, read, staged


@pytest.fixture
def elsewhere(tmp_path):
    """A folder outside of the storage, with a secret in it."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "secret").write_text("secret")
    (folder / "20261126T010101-00ff").write_text("secret")
    return folder


@contextmanager
def longest_file(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_that_is_a_link_is_not_read(local, elsewhere):
    kept(local, b"abc")
    path = local.folder / KEY
    path.unlink()
    path.symlink_to(elsewhere / "secret")
    with pytest.raises(BytesMissing):
        local.read(KEY)
    assert names(local, "files/one") == []


@pytest.mark.parametrize("linked", ["files", "files/one", "files/one/agent"])
def test_a_folder_that_is_a_link_leads_nowhere(local, elsewhere, linked):
    (local.folder / linked).parent.mkdir(parents=True, exist_ok=True)
    (local.folder / linked).symlink_to(elsewhere)
    with pytest.raises(BytesMissing):
        local.read(KEY)
    local.delete(KEY)
    staged(local, b"abc")
    with pytest.raises(StorageAway):
        local.move(STAGED, KEY, "text/plain")
    assert sorted(path.name for path in elsewhere.iterdir()) == ["20261126T010101-00ff", "secret"]


def test_a_link_below_the_folder_is_not_listed(local, elsewhere):
    kept(local, b"abc")
    (local.folder / "files/one/more").symlink_to(elsewhere)
    (local.folder / "files/one/agent/other").symlink_to(elsewhere / "secret")
    assert names(local, "files/one") == [KEY]


def test_staging_that_is_a_link_takes_nothing(local, elsewhere):
    (local.folder / "staging").symlink_to(elsewhere)
    with pytest.raises(StorageAway):
        local.stage(STAGED)
    assert len(list(elsewhere.iterdir())) == 2


def test_removing_a_link_leaves_what_it_points_at(local, elsewhere):
    kept(local, b"abc")
    (local.folder / KEY).unlink()
    (local.folder / KEY).symlink_to(elsewhere / "secret")
    local.delete(KEY)
    assert (elsewhere / "secret").read_text() == "secret"


def test_the_folder_itself_may_be_a_link(local, tmp_path):
    (tmp_path / "linked").symlink_to(local.folder)
    storage = LocalStorage(tmp_path / "linked")
    kept(storage, b"abc")
    assert read(storage) == b"abc"


def test_a_pipe_holds_nobody(local):
    kept(local, b"abc")
    (local.folder / KEY).unlink()
    os.mkfifo(local.folder / KEY)
    with pytest.raises(BytesMissing):
        local.read(KEY)


def test_a_full_disk_is_said(local):
    staging = local.stage(STAGED)

    def arrives():
        staging.write(b"x" * 4_000_000)
        staging.keep()  # what is written beside the arrival fails at one or the other

    with longest_file(1_500_000), pytest.raises(StorageFull):
        arrives()
    staging.drop()
    assert names(local, "staging/one") == []
    kept(local, b"x" * 3_000_000)
    assert len(read(local)) == 3_000_000


def test_what_is_kept_is_on_the_disk_with_its_name(local, monkeypatch):
    synced = []
    for name in ("fsync", "fdatasync"):
        sync = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda file, sync=sync: synced.append(os.fstat(file).st_ino) or sync(file)
        )
    staged(local, b"x" * 2 * local_module.SYNCED)
    file, staging = local.folder / STAGED, (local.folder / STAGED).parent.stat().st_ino
    assert synced.count(file.stat().st_ino) > 1  # not all of it at the end
    assert staging in synced
    synced.clear()
    local.move(STAGED, KEY, "text/plain")
    assert {(local.folder / KEY).parent.stat().st_ino, staging} <= {*synced}


def test_little_is_written_that_is_not_on_the_disk(local, monkeypatch):
    """Whoever syncs there meanwhile would wait for all of it."""
    waiting = [0]
    write, sync = os.write, os.fdatasync
    monkeypatch.setattr(
        os, "write", lambda file, data: waiting.append(waiting[-1] + len(data)) or write(file, data)
    )
    monkeypatch.setattr(os, "fdatasync", lambda file: sync(file) or waiting.append(0))
    staging = local.stage(STAGED)
    for _ in range(8):
        staging.write(b"x" * (local_module.SYNCED // 2))
    staging.keep()
    assert max(waiting) == local_module.SYNCED


def test_what_is_being_written_is_nobody_elses(local):
    staging = local.stage(STAGED)
    with pytest.raises(StorageAway):
        local.stage(STAGED)
    staging.drop()


def test_a_disk_that_is_gone_is_told_from_a_file_that_is_gone(local):
    kept(local, b"abc")
    local.folder.rename(local.folder.with_name("unmounted"))
    for call in (
        lambda: local.read(KEY),
        lambda: local.delete(KEY),
        lambda: local.stage("staging/one/u.1"),
        lambda: local.move(STAGED, KEY, "a/b"),
        lambda: list(local.list("files/one")),
    ):
        with pytest.raises(StorageAway):
            call()
    local.folder.with_name("unmounted").rename(local.folder)
    assert read(local) == b"abc"


def test_nobody_else_may_read_what_is_kept(local):
    kept(local, b"abc")
    assert (local.folder / KEY).stat().st_mode & 0o077 == 0
    assert (local.folder / KEY).parent.stat().st_mode & 0o077 == 0


def test_what_waits_for_the_disk_is_carried_out_where_it_is_told(tmp_path):
    asked = []

    def elsewhere(work):
        asked.append(work)
        return work()

    storage = LocalStorage(tmp_path, elsewhere)
    staging = storage.stage(STAGED)
    for call in (
        lambda: staging.write(b"x" * 2_000_000),
        staging.keep,
        lambda: storage.move(STAGED, KEY, "text/plain"),
        lambda: read(storage),
        lambda: storage.delete(KEY),
    ):
        before = len(asked)
        call()
        assert len(asked) > before


def test_a_file_that_became_shorter_is_an_error(local):
    kept(local, b"x" * 1_000_000)
    reading = local.read(KEY)
    os.truncate(local.folder / KEY, 10)
    with pytest.raises(StorageAway):
        list(reading)
