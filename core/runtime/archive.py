"""An agent as one archive: a gzipped tar of `agent.json`, `workspace/…` and `state/…`, written in pieces."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Callable, Iterable

from core.errors import JobFailed

CONFIGURATION = "agent.json"
FOLDERS = ("workspace", "state")
BLOCK = tarfile.BLOCKSIZE
MOST_ENTRIES = 100_000
UNPACKED = 20
"""What is in an archive has so many times the bytes of the largest file of the drive, at most."""
QUICKLY, GZIP = 1, 31
"""zlib's: a level of compression, and the window of a gzip file."""
NAMES = ("utf-8", "surrogateescape")
"""A name of a file may be any bytes."""


class ArchiveRefused(JobFailed):
    code = "archive_refused"
    title = "This archive is not taken"


class Packing:
    """An archive that is written by `write`, file by file."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._zip = zlib.compressobj(QUICKLY, zlib.DEFLATED, GZIP)

    def add(self, path: str, size: int, pieces: Iterable[bytes], *, mode: int, modified: int) -> None:
        """Raises `JobFailed` when the pieces are not of that size: the file was being written."""
        about = tarfile.TarInfo(path)
        about.size, about.mode, about.mtime = size, mode, modified
        self._put(about.tobuf(tarfile.PAX_FORMAT, *NAMES))
        left = size
        for piece in pieces:
            left -= len(piece)
            self._put(piece)
        if left:
            raise JobFailed("a file changed while it was read: is the agent at rest?", code="changed")
        self._put(bytes(-size % BLOCK))

    def end(self) -> None:
        """Two empty blocks end a tar (POSIX)."""
        self._put(bytes(2 * BLOCK))
        self._write(self._zip.flush())

    def _put(self, data: bytes) -> None:
        if packed := self._zip.compress(data):
            self._write(packed)
