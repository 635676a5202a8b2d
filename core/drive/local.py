"""A folder as a storage. What is kept survives a crash; under its last name a file is whole, or not there."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from core.drive import folders
from core.drive.keys import is_ours, parts
from core.drive.storage import CHUNK, Stored
from core.errors import BytesMissing, Problem, StorageAway
from core.services import Run, here

HELD = 1024 * 1024
"""So much is written at a time: each small piece would cost more than its writing."""


class LocalStorage:
    """Objects are files below `folder`, which has to be there."""

    kind = "local"

    def __init__(self, folder: Path, run: Run = here) -> None:
        self.folder = folder
        self.run = run

    def stage(self, key: str) -> LocalStaging:
        return LocalStaging(self, key)

    def move(self, staged: str, key: str, media_type: str) -> None:
        self.run(lambda: self._move(staged, key))

    def read(self, key: str, start: int = 0, stop: int | None = None) -> LocalReading:
        return LocalReading(self.run(lambda: self._opened(key)), self.run, start, stop)

    def delete(self, key: str) -> None:
        self.run(lambda: self._delete(key))

    def list(self, folder: str) -> Iterator[Stored]:
        with folders.told():
            for found in folders.files(self.folder, folder.split("/")):
                if is_ours(key := "/".join(found.path)):
                    yield Stored(key, found.size, found.modified)

    def link(self, key: str, seconds: int, headers: Mapping[str, str]) -> None:
        return None

    def _move(self, staged: str, key: str) -> None:
        with self._place(key, make=True) as (to, name), self._place(staged, make=True) as (of, old):
            try:
                os.replace(old, name, src_dir_fd=of, dst_dir_fd=to)
            except FileNotFoundError:
                if not _is_there(name, to):
                    raise BytesMissing("this upload's bytes are gone") from None
            os.fsync(to)
            os.fsync(of)

    def _opened(self, key: str) -> int:
        with self._place(key, missing=BytesMissing) as (folder, name):
            return folders.opened(folder, name)

    def _delete(self, key: str) -> None:
        with (
            contextlib.suppress(BytesMissing),
            self._place(key, missing=BytesMissing) as (folder, name),
        ):
            os.unlink(name, dir_fd=folder)
            os.fsync(folder)

    @contextlib.contextmanager
    def _place(
        self, key: str, *, make: bool = False, missing: type[Problem] = StorageAway
    ) -> Iterator[tuple[int, str]]:
        """(folder, name) of a key. `missing`: what is raised when something below the root is not there."""
        with folders.told():
            os.stat(self.folder)
        with folders.told(missing), folders.place(self.folder, parts(key), make=make) as place:
            yield place


class LocalStaging:
    """A file that is being written."""

    def __init__(self, storage: LocalStorage, key: str) -> None:
        self.storage = storage
        self.key = key
        self._held: list[bytes] = []
        self._bytes_held = 0
        self._file: int | None = storage.run(self._begun)

    def write(self, data: bytes) -> None:
        self._held.append(data)
        self._bytes_held += len(data)
        if self._bytes_held >= HELD:
            self.storage.run(self._flush)

    def keep(self) -> None:
        self.storage.run(self._keep)

    def drop(self) -> None:
        self._close()
        with contextlib.suppress(StorageAway):
            self.storage.delete(self.key)

    def _begun(self) -> int:
        with self.storage._place(self.key, make=True) as (folder, name):
            return os.open(name, folders.NEW, 0o600, dir_fd=folder)

    def _flush(self) -> None:
        assert self._file is not None
        left = memoryview(b"".join(self._held))
        self._held, self._bytes_held = [], 0
        with folders.told():
            while left:
                left = left[os.write(self._file, left) :]

    def _keep(self) -> None:
        self._flush()
        assert self._file is not None
        with self.storage._place(self.key) as (folder, _):
            os.fsync(self._file)
            os.fsync(folder)
        self._close()

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


class LocalReading:
    """An open file, read in pieces."""

    def __init__(self, file: int, run: Run, start: int, stop: int | None) -> None:
        self.size = os.fstat(file).st_size
        self._file: int | None = file
        self._run = run
        self._at = start
        self._stop = self.size if stop is None else stop

    def __iter__(self) -> Iterator[bytes]:
        while self._at < self._stop:
            piece = self._run(self._piece)
            if not piece:
                raise StorageAway("the file is shorter than it was")
            self._at += len(piece)
            yield piece

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _piece(self) -> bytes:
        assert self._file is not None
        with folders.told():
            return os.pread(self._file, min(CHUNK, self._stop - self._at), self._at)


def _is_there(name: str, folder: int) -> bool:
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False
