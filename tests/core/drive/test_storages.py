"""The contract of a storage, kept by each: what is staged, moved, read, listed and removed."""

from __future__ import annotations

import hashlib
import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from core.errors import BytesMissing
from tests.core.drive.conftest import MIB

KEY, STAGED = "files/one/agent/20261126T010101-00ff", "staging/one/upload.0"


def staged(storage, data, key=STAGED, piece=MIB):
    staging = storage.stage(key)
    for at in range(0, len(data), piece):
        staging.write(data[at : at + piece])
    staging.keep()


def kept(storage, data, key=KEY):
    staged(storage, data)
    storage.move(STAGED, key, "text/plain")


def read(storage, key=KEY, *part):
    reading = storage.read(key, *part)
    try:
        return b"".join(reading)
    finally:
        reading.close()


def names(storage, folder):
    return sorted(found.key for found in storage.list(folder))


@pytest.mark.parametrize("size", [0, 1, 5 * MIB, 5 * MIB + 1, 11 * MIB])
@pytest.mark.parametrize("piece", [MIB, 3 * MIB + 17, 11 * MIB])
def test_what_is_written_is_read_again(storage, size, piece):
    data = os.urandom(size)
    staged(storage, data, piece=piece)
    storage.move(STAGED, KEY, "text/plain")
    reading = storage.read(KEY)
    assert reading.size == size
    assert b"".join(reading) == data
    reading.close()
    reading.close()


@pytest.mark.parametrize("size", [0, 3, 11 * MIB])
def test_it_hashes_what_is_written(storage, size):
    data = os.urandom(size)
    staging = storage.stage(STAGED)
    for at in range(0, size, MIB):
        staging.write(data[at : at + MIB])
    sha256 = staging.sha256()
    staging.keep()
    assert sha256 == staging.sha256() == hashlib.sha256(data).hexdigest()


def test_memory_that_was_written_may_change_once_the_next_call_is_over(storage, monkeypatch):
    monkeypatch.setattr(storage, "beside", lambda work: work)  # as late as can be
    one, other = bytearray(b"a" * 4 * MIB), bytearray(b"b" * 4 * MIB)
    staging = storage.stage(STAGED)
    staging.write(one)
    staging.write(memoryview(other))
    one[:] = b"c" * len(one)
    staging.write(one)
    other[:] = b"d" * len(other)
    assert (
        staging.sha256()
        == hashlib.sha256(b"".join(byte * 4 * MIB for byte in (b"a", b"b", b"c"))).hexdigest()
    )
    one[:] = b"e" * len(one)
    staging.keep()
    assert [read(storage, STAGED, n * 4 * MIB, (n + 1) * 4 * MIB)[:1] for n in range(3)] == [b"a", b"b", b"c"]


@pytest.mark.parametrize("size", [3, 11 * MIB])
def test_it_says_the_same_of_the_same_bytes_alone(storage, size):
    staging = storage.stage(STAGED)
    staging.write(b"a" * size)
    said = staging.keep()
    assert said == storage.said(STAGED)
    storage.delete(STAGED)
    with pytest.raises(BytesMissing):
        storage.said(STAGED)
    staged(storage, b"b" * size)
    assert storage.said(STAGED) not in (None, said)


def test_what_is_kept_is_staged_until_it_is_moved(storage):
    staged(storage, b"abc")
    assert names(storage, "staging/one") == [STAGED]
    assert names(storage, "files/one") == []
    storage.move(STAGED, KEY, "text/plain")
    assert names(storage, "staging/one") == []
    assert names(storage, "files/one") == [KEY]


def test_moving_twice_is_moving_once(storage):
    kept(storage, b"abc")
    storage.move(STAGED, KEY, "text/plain")
    assert read(storage) == b"abc"


def test_what_was_never_staged_cannot_be_moved(storage):
    with pytest.raises(BytesMissing):
        storage.move(STAGED, KEY, "text/plain")
    assert names(storage, "files/one") == []


@pytest.mark.parametrize("part", [(0, 1), (1, 3), (5, 6), (0, 6), (2,), (5,), (0, None)])
def test_a_part_is_read_alone(storage, part):
    kept(storage, b"abcdef")
    assert read(storage, KEY, *part) == b"abcdef"[slice(*part) if len(part) > 1 else slice(part[0], None)]
    assert storage.read(KEY, *part).size == 6


@pytest.mark.parametrize(("start", "stop"), [(MIB - 1, 3 * MIB + 1), (6 * MIB, None)])
def test_a_part_of_a_large_object(storage, start, stop):
    data = os.urandom(7 * MIB)
    kept(storage, data)
    assert read(storage, KEY, start, stop) == data[start:stop]


def test_what_is_not_there_cannot_be_read(storage):
    with pytest.raises(BytesMissing):
        storage.read(KEY)
    with pytest.raises(BytesMissing):
        storage.read("files/one/nobody/never")


def test_what_is_removed_is_gone(storage):
    kept(storage, b"abc")
    storage.delete(KEY)
    storage.delete(KEY)
    assert names(storage, "files/one") == []
    with pytest.raises(BytesMissing):
        storage.read(KEY)


def test_the_list_tells_size_and_age(storage):
    kept(storage, b"abc")
    (found,) = storage.list("files/one")
    assert found.size == 3
    assert (
        datetime.now(UTC) - timedelta(minutes=1) < found.modified < datetime.now(UTC) + timedelta(minutes=1)
    )


def test_the_list_is_of_one_folder(storage):
    for n, folder in enumerate(["files/one", "files/one-and-more", "files/two"]):
        kept(storage, b"abc", f"{folder}/a/{n}")
    assert names(storage, "files/one") == ["files/one/a/0"]
    assert names(storage, "files/none") == []


def test_what_is_half_written_is_in_the_list_and_can_be_removed(storage):
    staging = storage.stage(STAGED)
    staging.write(b"x" * 6 * MIB)
    assert names(storage, "staging/one") == [STAGED]
    storage.delete(STAGED)
    assert names(storage, "staging/one") == []


@pytest.mark.parametrize("size", [0, 1, 6 * MIB])
def test_what_is_dropped_leaves_nothing(storage, size):
    staging = storage.stage(STAGED)
    staging.write(b"x" * size)
    staging.drop()
    staging.drop()
    assert names(storage, "staging/one") == []


def test_what_was_kept_can_still_be_dropped(storage):
    staging = storage.stage(STAGED)
    staging.write(b"abc")
    staging.keep()
    staging.drop()
    assert names(storage, "staging/one") == []


def test_many_at_once(storage):
    def one(n):
        data = os.urandom(100_000 + n)
        key = f"staging/one/u{n}.0"
        staged(storage, data, key)
        storage.move(key, f"files/one/a/{n}", "text/plain")
        assert read(storage, f"files/one/a/{n}") == data

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(40)))
    assert len(names(storage, "files/one")) == 40


@pytest.mark.parametrize(
    "key",
    [
        "files/../etc/passwd",
        "../x/y",
        "/etc/passwd",
        "files",
        "files//a",
        "files/./a",
        "files/a\0b",
        "files/ä",
    ],
)
def test_a_key_that_is_not_ours_is_refused(storage, key):
    for call in (storage.read, storage.delete, storage.stage, lambda key: storage.move(STAGED, key, "a/b")):
        with pytest.raises(ValueError, match="not a key"):
            call(key)


def test_a_long_list_is_whole(storage):
    keys = [f"files/one/a/{n:04}" for n in range(1050)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: staged(storage, b"", key), keys))
    assert names(storage, "files/one") == keys
    assert list(itertools.islice(storage.list("files/one"), 1))
