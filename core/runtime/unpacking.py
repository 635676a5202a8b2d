"""Reading an archive that anybody may have made: only plain files and folders, each below where it belongs.

Everything else is refused by its name. So much is held in memory as one piece has, whatever the archive says.
"""

from __future__ import annotations

import itertools
import os
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from core.drive.folders import DEEPEST
from core.drive.storage import CHUNK
from core.runtime.archive import (
    BLOCK,
    CONFIGURATION,
    FOLDERS,
    GZIP,
    MOST_ENTRIES,
    NAMES,
    ArchiveRefused,
)

LONGEST_PART = 255
MOST_SAID = 64 * 1024
"""Bytes of a header that says more of the next file (pax)."""
LATEST = 2**32
"""Of times, in seconds: what is later no system call may take."""
NUMBER = re.compile(rb"[0-9]{1,9}")
FOLLOWED, CUT_OFF = "something follows the archive's end", "the archive is cut off"
OTHERS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
}


class Entry(NamedTuple):
    """A file: its path as names, and its bytes, which are read before the next one."""

    path: tuple[str, ...]
    size: int
    executable: bool
    modified: int
    pieces: Iterator[memoryview]


def entries(packed: Iterable[bytes], *, most_bytes: int) -> Iterator[Entry]:
    """The files of an archive. Raises `ArchiveRefused`."""
    reader = _Reader(inflated(packed, most_bytes))
    said: dict[str, str] = {}
    for _ in range(MOST_ENTRIES):
        block = reader.exactly(BLOCK)
        if not any(block):
            return reader.end()
        about = _header(block)
        if about.type == tarfile.XHDTYPE:
            said = _said(reader, about.size)
            continue
        about.name, about.size = said.get("path", about.name), _size(said.get("size", about.size))
        said = {}
        if not about.isdir():
            yield _entry(about, reader)
            reader.skip(-about.size % BLOCK)
        else:
            checked(about.name.rstrip("/"))
    raise ArchiveRefused(f"the archive has more than {MOST_ENTRIES} entries")


def inflated(packed: Iterable[bytes], most_bytes: int) -> Iterator[bytes]:
    """What was compressed, in pieces. Raises `ArchiveRefused` for what is no gzip file, or too much."""
    unzip, total = zlib.decompressobj(GZIP), 0
    for piece in packed:
        data = b"more"
        while (piece or data) and not unzip.eof:
            data = _unzipped(unzip, piece)
            piece = unzip.unconsumed_tail
            total += len(data)
            if total > most_bytes:
                raise ArchiveRefused(f"unpacked it has more than {most_bytes} bytes")
            yield data
        if unzip.unused_data or (piece and unzip.eof):
            raise ArchiveRefused(FOLLOWED)
    if not unzip.eof:
        raise ArchiveRefused(CUT_OFF)


def checked(name: str) -> tuple[str, ...]:
    """A path as names. Raises `ArchiveRefused` for one that leads anywhere else."""
    path = tuple(name.split("/"))
    if name.startswith("/"):
        raise ArchiveRefused(f"{_shown(name)} is an absolute path")
    if ".." in path:
        raise ArchiveRefused(f"{_shown(name)} leads out of the archive")
    if any(part in ("", ".") or "\0" in part or len(os.fsencode(part)) > LONGEST_PART for part in path):
        raise ArchiveRefused(f"{_shown(name)} is no path")
    if len(path) > DEEPEST:
        raise ArchiveRefused(f"{_shown(name)} is too deep")
    if path[0] not in FOLDERS and path != (CONFIGURATION,):
        raise ArchiveRefused(f"{_shown(name)} does not belong to an agent")
    return path


def _unzipped(unzip: Any, piece: bytes) -> bytes:
    try:
        return bytes(unzip.decompress(piece, CHUNK))
    except zlib.error:
        raise ArchiveRefused("it is no gzip file, or a broken one") from None


def _header(block: bytes) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(block, *NAMES)
    except tarfile.HeaderError:
        raise ArchiveRefused("it is no tar file, or a broken one") from None


def _entry(about: tarfile.TarInfo, reader: _Reader) -> Entry:
    if about.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise ArchiveRefused(f"{_shown(about.name)} is {OTHERS.get(about.type, 'no plain file')}")
    path = checked(about.name)
    if path[0] in FOLDERS and len(path) == 1:
        raise ArchiveRefused(f"{_shown(about.name)} has to be a folder")
    executable = bool(about.mode & 0o100)
    return Entry(
        path, about.size, executable, min(max(0, int(about.mtime)), LATEST), reader.pieces(about.size)
    )


def _said(reader: _Reader, size: int) -> dict[str, str]:
    """What a pax header says: `<length> <name>=<value>\\n`, over and over."""
    if not 0 <= size <= MOST_SAID:
        raise ArchiveRefused("a header of it is too long")
    left, said = reader.exactly(size), {}
    reader.skip(-size % BLOCK)
    while left:
        length, _, _ = left.partition(b" ")
        if not NUMBER.fullmatch(length) or not len(length) < int(length) <= len(left):
            raise ArchiveRefused("a header of it is broken")
        name, _, value = left[len(length) + 1 : int(length) - 1].partition(b"=")
        said[name.decode(*NAMES)] = os.fsdecode(value)
        left = left[int(length) :]
    if any(name.startswith("GNU.sparse") for name in said):
        raise ArchiveRefused("it holds a sparse file")
    return said


def _size(given: str | int) -> int:
    try:
        size = int(given)
    except ValueError:
        size = -1
    if size < 0:
        raise ArchiveRefused("the size of a file in it is no number")
    return size


def _shown(name: str) -> str:
    return repr(name[:200])


class _Reader:
    """Pieces, read as one likes."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = memoryview(b"")

    def exactly(self, size: int) -> bytes:
        return b"".join(self.pieces(size))

    def skip(self, size: int) -> None:
        for _ in self.pieces(size):
            pass

    def pieces(self, size: int) -> Iterator[memoryview]:
        """So many bytes. Raises `ArchiveRefused` when there are fewer."""
        while size:
            if not self._held:
                self._held = self._next()
            piece, self._held = self._held[:size], self._held[size:]
            size -= len(piece)
            yield piece

    def end(self) -> None:
        """Nothing but zeros may follow."""
        for piece in itertools.chain([bytes(self._held)], self._pieces):
            if piece.strip(b"\0"):
                raise ArchiveRefused(FOLLOWED)

    def _next(self) -> memoryview:
        for piece in self._pieces:
            if piece:
                return memoryview(piece)
        raise ArchiveRefused(CUT_OFF)
