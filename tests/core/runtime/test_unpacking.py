"""Archives that anybody may have made: what is odd about them is refused by name, and costs no memory."""

from __future__ import annotations

import gzip
import itertools
import tarfile
import tracemalloc
import zlib
from collections import deque

import pytest

from core.runtime.archive import MOST_ENTRIES, ArchiveRefused, Packing
from core.runtime.unpacking import checked, entries
from tests.core.runtime.archives import archive, member, tar

MIB = 1024 * 1024


def read(data, most_bytes=10 * MIB, piece=1000):
    pieces = (data[n : n + piece] for n in range(0, len(data), piece))
    return {
        "/".join(entry.path): (b"".join(entry.pieces), entry.executable, entry.modified)
        for entry in entries(pieces, most_bytes=most_bytes)
    }


def refused(data, **more):
    with pytest.raises(ArchiveRefused) as caught:
        read(data, **more)
    return caught.value.detail


def test_what_was_packed_is_unpacked():
    out = []
    packing = Packing(out.append)
    long = "workspace/" + "/".join(["ä" * 60] * 10)
    odd = "state/\udcff"
    packing.add("agent.json", 2, [b"{", b"}"], mode=0o600, modified=5)
    packing.add(long, 0, [], mode=0o600, modified=6)
    packing.add(odd, 700_000, [b"x" * 700_000], mode=0o700, modified=7)
    packing.end()
    assert read(b"".join(out)) == {
        "agent.json": (b"{}", False, 5),
        long: (b"", False, 6),
        odd: (b"x" * 700_000, True, 7),
    }


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_what_another_program_packed_is_read_too(format):
    data = tar(member("state", kind=tarfile.DIRTYPE), member("state/a", b"one"), format=format)
    assert read(gzip.compress(data))["state/a"][0] == b"one"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("/etc/passwd", "absolute"),
        ("workspace/../../x", "leads out"),
        ("..", "leads out"),
        ("workspace//x", "no path"),
        ("./workspace/x", "no path"),
        ("workspace/" + "x" * 256, "no path"),
        ("workspace/" + "ä" * 128, "no path"),
        ("workspace/" + "x/" * 40 + "x", "too deep"),
        ("home/x", "does not belong"),
        ("agent.json/x", "does not belong"),
        ("openclaw.json", "does not belong"),
        ("workspace", "has to be a folder"),
    ],
)
def test_a_path_that_leads_elsewhere_is_refused_by_name(name, why):
    said = refused(archive(member("state/fine"), member(name)))
    assert why in said
    assert repr(name[:200]) in said


def test_a_folder_is_named_like_a_file():
    assert "absolute" in refused(archive(member("/etc", kind=tarfile.DIRTYPE)))


@pytest.mark.parametrize("name", ["workspace/a\0b", "workspace/a/", ""])
def test_what_is_no_path_is_none(name):
    with pytest.raises(ArchiveRefused):
        checked(name)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a pipe"),
        (tarfile.CONTTYPE, "no plain file"),
        (tarfile.GNUTYPE_SPARSE, "no plain file"),
        (b"Z", "no plain file"),
    ],
)
def test_what_is_no_plain_file_is_refused_by_name(kind, why):
    said = refused(archive(member("workspace/x", kind=kind, linkname="/etc/passwd")))
    assert "'workspace/x'" in said
    assert why in said


def test_a_sparse_file_is_refused():
    assert "sparse" in refused(archive(member("workspace/x", b"x", pax_headers={"GNU.sparse.size": "99"})))


def test_a_bomb_by_size_is_refused_before_it_takes_memory():
    out, zipped = [], zlib.compressobj(9, zlib.DEFLATED, 31)
    out.append(zipped.compress(member("workspace/x", size=2**40)[0].tobuf()))
    out += [zipped.compress(bytes(MIB)) for _ in range(200)]
    out.append(zipped.flush())
    tracemalloc.start()
    try:
        (entry,) = itertools.islice(entries(out, most_bytes=100 * MIB), 1)
        with pytest.raises(ArchiveRefused, match="more than 104857600 bytes"):
            deque(entry.pieces, maxlen=0)
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


def test_a_bomb_by_count_is_refused():
    one = member("workspace/x")[0].tobuf()
    data = gzip.compress(one * (MOST_ENTRIES + 1))
    assert str(MOST_ENTRIES) in refused(data, most_bytes=1024 * MIB, piece=MIB)


def test_a_header_that_would_take_memory_is_refused():
    header = member("x", kind=tarfile.XHDTYPE, size=2**30)[0].tobuf(tarfile.USTAR_FORMAT)
    assert "too long" in refused(gzip.compress(header + bytes(MIB)))


@pytest.mark.parametrize(
    "said", [b"x", b"99 path=x\n", b"3 path=x\n", b"-1 path=x\n", b"9" * 5000 + b" path=x\n", b" =\n"]
)
def test_a_broken_header_is_refused(said):
    header = member("x", kind=tarfile.XHDTYPE, size=len(said))[0].tobuf(tarfile.USTAR_FORMAT)
    data = header + said + bytes(-len(said) % 512) + member("workspace/x")[0].tobuf() + bytes(1024)
    assert "broken" in refused(gzip.compress(data))


@pytest.mark.parametrize("size", ["-1", "x", ""])
def test_a_size_that_is_none_is_refused(size):
    assert "no number" in refused(archive(member("workspace/x", pax_headers={"size": size})))


def test_a_time_that_no_system_takes_is_bounded():
    found = read(archive(member("workspace/x", mtime=8**11 - 1), member("workspace/y", mtime=-5)))
    assert (found["workspace/x"][2], found["workspace/y"][2]) == (2**32, 0)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "cut off"),
        (b"hello, this is no archive", "no gzip"),
        (gzip.compress(b"hello, this is no tar" * 100), "no tar"),
        (archive(member("workspace/x", b"x" * 5000))[:-20], "cut off"),
        (gzip.compress(tar(member("workspace/x", b"x" * 5000))[:2000]), "cut off"),
        (archive(member("workspace/x")) + b"more", "follows"),
        (archive(member("workspace/x")) + archive(member("workspace/y")), "follows"),
        (gzip.compress(tar(member("workspace/x")) + b"more"), "follows"),
    ],
    ids=itertools.count(),  # what is packed has the time in it
)
@pytest.mark.parametrize("piece", [1, 1000, 10_000])
def test_what_is_broken_is_refused(data, why, piece):
    assert why in refused(data, piece=piece)
