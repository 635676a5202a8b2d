"""Receiving an upload: what is staged, and that nothing stays of one that is refused."""

from __future__ import annotations

import hashlib

import pytest

from core.drive.receive import Inbox, Limits
from core.errors import Invalid, StorageFull, TooLarge
from tests.core.drive.test_form import END, part
from tests.core.drive.test_local import longest_file
from tests.core.drive.test_storages import names, read


def inbox(storage, file=1000, room=None):
    return Inbox(storage, lambda n: f"staging/one/u.{n}", Limits(file, room))


def taken(storage, data, piece=7, **limits):
    box = inbox(storage, **limits)
    box.take("b", [data[at : at + piece] for at in range(0, len(data), piece)])
    return box


def file(data, name="a.txt"):
    return part("file", data, filename=name)


def test_files_are_staged_and_hashed(storage):
    box = taken(storage, file(b"one") + part("path", b"p/") + file(b"two!", "b.txt") + END)
    assert box.fields == {"path": "p/"}
    for n, (received, data) in enumerate(zip(box.files, (b"one", b"two!"), strict=True)):
        assert received.staged == f"staging/one/u.{n}"
        assert (received.size, received.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert read(storage, received.staged) == data
    assert [received.name for received in box.files] == ["a.txt", "b.txt"]


@pytest.mark.parametrize(
    ("data", "limits", "error"),
    [
        (file(b"x" * 101) + END, {"file": 100}, TooLarge),
        (file(b"") * 101 + END, {}, TooLarge),
        (file(b"x" * 60) * 2 + END, {"room": 119}, TooLarge),
        (file(b"x", "n" * 20_000) + END, {}, Invalid),
        (file(b"one") + part("path", b"a") * 2 + END, {}, Invalid),
        (file(b"one") + part("other", b"x", filename="x") + END, {}, Invalid),
        (part("path", b"a") + END, {}, Invalid),
        (END, {}, Invalid),
        (file(b"one") + file(b"two"), {}, Invalid),
        (file(b"x" * 500)[:-200], {}, Invalid),
    ],
)
def test_nothing_stays_of_what_is_refused(storage, data, limits, error):
    with pytest.raises(error):
        taken(storage, data, **limits)
    assert names(storage, "staging") == []


def test_what_is_too_large_is_known_before_it_is_all_there(local):
    def endless():
        yield file(b"x" * 1000)[:-2]
        yield b"x"
        pytest.fail("it read on")

    with pytest.raises(TooLarge):
        inbox(local).take("b", endless())


def test_what_fits_exactly_is_taken(storage):
    assert taken(storage, file(b"x" * 100) + END, file=100, room=100).files[0].size == 100


def test_the_quota_is_told_from_the_largest_file(local):
    with pytest.raises(TooLarge) as refused:
        taken(local, file(b"x" * 100) + END, room=99)
    assert refused.value.code == "quota_exceeded"


def test_a_disk_that_is_full_leaves_nothing(local):
    with longest_file(1000), pytest.raises(StorageFull):
        taken(local, file(b"x" * 5000) + END, file=10_000, piece=500)
    assert names(local, "staging") == []


def test_what_breaks_from_outside_leaves_nothing(local):
    def breaks():
        yield file(b"x" * 100)[:-50]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inbox(local).take("b", breaks())
    assert names(local, "staging") == []


def test_it_can_be_dropped_afterwards(storage):
    taken(storage, file(b"one") + file(b"two") + END).drop()
    assert names(storage, "staging") == []
