"""Storages: where a file's bytes are. One protocol; each storage passes the same contract tests.

A key is made by us alone (see `core.drive.keys`), never from a user's words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple, Protocol

Bytes = bytes | bytearray | memoryview

CHUNK = 256 * 1024
"""Bytes are read in pieces of this size."""


class Stored(NamedTuple):
    """An object that a storage has. `modified`: of one that is being written, when that began or later."""

    key: str
    size: int
    modified: datetime


class Staging(Protocol):
    """Bytes on their way in, written in order. Each method raises `StorageAway` or `StorageFull`, also for
    what was handed over before."""

    def write(self, data: Bytes) -> None:
        """Take the next bytes. They may be read until the next call of any method has returned."""

    def sha256(self) -> str:
        """Of all that was written, in hex."""

    def keep(self) -> str | None:
        """They are all there: once this returns they survive a crash. What `said` says of them then."""

    def drop(self) -> None:
        """Forget them; never raises. What cannot be removed now is removed by a sweep."""


class Reading(Protocol):
    """An open object, or a part of one, in pieces. `size`: of the whole object.

    `sent_to(socket)` lets the system send what the socket takes now, past this process, and tells how much:
    0 at the end. It raises `OSError`: `BlockingIOError` when the socket takes nothing now. None: it cannot.
    """

    size: int

    @property
    def sent_to(self) -> Callable[[int], int] | None: ...

    def __iter__(self) -> Iterator[bytes]:
        """Raises `StorageAway` when the bytes end too early."""

    def close(self) -> None:
        """Let go of the file or the connection; safe to repeat."""


class Storage(Protocol):
    """Each method raises `StorageAway` while the disk or the bucket cannot be used."""

    kind: str

    def stage(self, key: str) -> Staging:
        """Begin to write an object."""

    def move(self, staged: str, key: str, media_type: str) -> None:
        """Give a staged object its place, wholly or not at all; safe to repeat. Raises `BytesMissing`."""

    def read(self, key: str, start: int = 0, stop: int | None = None) -> Reading:
        """Open the bytes from `start` up to `stop`. Raises `BytesMissing`."""

    def said(self, key: str) -> str | None:
        """The same as long as its bytes are the same, as far as the storage knows; None: it knows nothing.

        Raises `BytesMissing`.
        """

    def delete(self, key: str) -> None:
        """Remove an object, whole or half written; safe to repeat."""

    def list(self, folder: str) -> Iterator[Stored]:
        """Every object below a folder, those half written too."""

    def link(self, key: str, seconds: int, headers: Mapping[str, str]) -> str | None:
        """An address that gives the object for so long, with these headers; None where there is no such."""
