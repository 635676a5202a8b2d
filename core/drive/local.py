"""A folder as a storage. What is kept survives a crash; under its last name a file is whole, or not there."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from core.drive import folders
from core.drive.behind import Behind
from core.drive.keys import is_ours, parts
from core.drive.storage import CHUNK, Bytes, Stored
from core.errors import BytesMissing, Problem, StorageAway
from core.services import Beside, Run, at_once, here

SYNCED = 2 * 1024 * 1024
"""Bytes. After so much it goes to the disk, before more is written: whoever syncs there meanwhile, as the
store does for each chat, waits for all that was written and is not on the disk."""
SENT = 1024 * 1024
"""Bytes. At most so much goes to a socket at a time."""


class LocalStorage:
    """Objects are files below `folder`, which has to be there."""

    kind = "local"

    def __init__(self, folder: Path, run: Run = here, beside: Beside = at_once) -> None:
        self.folder = folder
        self.run = run
        self.beside = beside

    def stage(self, key: str) -> LocalStaging:
        return LocalStaging(self, key)

    def move(self, staged: str, key: str, media_type: str) -> None:
        self.run(lambda: self._move(staged, key))

    def read(self, key: str, start: int = 0, stop: int | None = None) -> LocalReading:
        return LocalReading(self.run(lambda: self._opened(key)), self.run, start, stop)

    def said(self, key: str) -> str:
        """Which file it is, and when it was last touched."""
        return self.run(lambda: self._said(key))

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

    def _said(self, key: str) -> str:
        file = self._opened(key)
        try:
            return _said(file)
        finally:
            os.close(file)

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
    """A file that is being written; what was handed over is hashed and written while more arrives."""

    def __init__(self, storage: LocalStorage, key: str) -> None:
        self.storage = storage
        self.key = key
        self._unsynced = 0
        self._digest = hashlib.sha256()
        self._writes = Behind(storage.beside, 1)
        self._file: int | None = storage.run(self._begun)

    def write(self, data: Bytes) -> None:
        self._writes.do(lambda: self.storage.run(lambda: self._write(data)))

    def sha256(self) -> str:
        self._writes.done()
        return self._digest.hexdigest()

    def keep(self) -> str:
        self._writes.done()
        return self.storage.run(self._keep)

    def drop(self) -> None:
        self._writes.given_up()
        self._close()
        with contextlib.suppress(StorageAway):
            self.storage.delete(self.key)

    def _begun(self) -> int:
        with self.storage._place(self.key, make=True) as (folder, name):
            return os.open(name, folders.NEW, 0o600, dir_fd=folder)

    def _write(self, data: Bytes) -> None:
        assert self._file is not None
        left = memoryview(data)
        self._digest.update(left)
        with folders.told():
            while left:
                left = left[os.write(self._file, left) :]
            self._unsynced += len(data)
            if self._unsynced >= SYNCED:
                os.fdatasync(self._file)
                self._unsynced = 0

    def _keep(self) -> str:
        assert self._file is not None
        with self.storage._place(self.key) as (folder, _):
            os.fsync(self._file)
            os.fsync(folder)
        said = _said(self._file)
        self._close()
        return said

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

    def sent_to(self, socket: int) -> int:
        if self._at == self._stop:
            return 0
        sent = self._run(lambda: self._send(socket))
        if not sent:
            raise StorageAway("the file is shorter than it was")
        self._at += sent
        return sent

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _send(self, socket: int) -> int:
        """What fails is the socket's as a rule: whoever sends knows those errors."""
        assert self._file is not None
        return os.sendfile(socket, self._file, self._at, min(SENT, self._stop - self._at))

    def _piece(self) -> bytes:
        assert self._file is not None
        with folders.told():
            return os.pread(self._file, min(CHUNK, self._stop - self._at), self._at)


def _said(file: int) -> str:
    about = os.fstat(file)
    return f"{about.st_ino}-{about.st_size}-{about.st_mtime_ns}-{about.st_ctime_ns}"


def _is_there(name: str, folder: int) -> bool:
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False
