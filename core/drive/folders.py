"""Files below a folder, reached step by step without following a symbolic link, however it came there."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from core.errors import Problem, StorageAway, StorageFull

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
OLD = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe must not hold whoever opens it
NOT_THERE = (errno.ENOENT, errno.ELOOP, errno.ENOTDIR)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
DEEPEST = 32
"""What is deeper is not looked at: each folder on the way is an open file."""


class Found(NamedTuple):
    """A file below a folder: its path as names, and what `stat` says of it."""

    path: tuple[str, ...]
    size: int
    modified: datetime


@contextlib.contextmanager
def place(root: Path, path: Sequence[str], *, make: bool = False) -> Iterator[tuple[int, str]]:
    """(folder, name) of a path below `root`, the folder as an open file; `make` the folders that are missing.

    `root` itself may be a link: an operator named it.
    """
    *folders, name = path
    with contextlib.ExitStack() as opened:
        inside = opened.enter_context(_opened(os.open(root, FOLDER & ~os.O_NOFOLLOW)))
        for folder in folders:
            if make:
                _make(folder, inside)
            inside = opened.enter_context(_opened(os.open(folder, FOLDER, dir_fd=inside)))
        yield inside, name


def opened(folder: int, name: str) -> int:
    """An ordinary file, open for reading. Raises `OSError` for what is not there, or is no file."""
    file = os.open(name, OLD, dir_fd=folder)
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))


def unlink(root: Path, path: Sequence[str], *, keep: int) -> None:
    """Remove a file, and the folders on its way that are empty then, but for the first `keep`."""
    with place(root, path) as (folder, name):
        os.unlink(name, dir_fd=folder)
    with contextlib.suppress(OSError):  # it holds more
        for n in range(len(path) - 1, keep, -1):
            with place(root, path[:n]) as (folder, name):
                os.rmdir(name, dir_fd=folder)


def files(root: Path, below: Sequence[str] = ()) -> Iterator[Found]:
    """Every ordinary file below a folder of `root`, in no order; nothing when that is not there."""
    with contextlib.ExitStack() as opened:
        inside = opened.enter_context(_opened(os.open(root, FOLDER & ~os.O_NOFOLLOW)))
        with contextlib.suppress(FileNotFoundError):
            for folder in below:
                inside = opened.enter_context(_opened(os.open(folder, FOLDER, dir_fd=inside)))
            yield from _files(inside, tuple(below))


@contextlib.contextmanager
def told(missing: type[Problem] = StorageAway) -> Iterator[None]:
    """What a disk says, in our words, which name no path. `missing`: what is raised for what is not there."""
    try:
        yield
    except OSError as error:
        if error.errno in NOT_THERE:
            raise missing from None
        if error.errno in FULL:
            raise StorageFull(f"the drive's disk takes no more: {error.strerror}") from None
        raise StorageAway(f"the drive's disk cannot be used: {error.strerror}") from None


@contextlib.contextmanager
def _opened(folder: int) -> Iterator[int]:
    try:
        yield folder
    finally:
        os.close(folder)


def _make(folder: str, inside: int) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o700, dir_fd=inside)
        os.fsync(inside)


def _files(folder: int, path: tuple[str, ...]) -> Iterator[Found]:
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # it went while we looked
                if entry.is_dir(follow_symlinks=False):
                    if len(path) == DEEPEST:
                        continue
                    with _opened(os.open(entry.name, FOLDER, dir_fd=folder)) as inside:
                        yield from _files(inside, (*path, entry.name))
                elif entry.is_file(follow_symlinks=False):
                    about = entry.stat(follow_symlinks=False)
                    modified = datetime.fromtimestamp(about.st_mtime, UTC)
                    yield Found((*path, entry.name), about.st_size, modified)
