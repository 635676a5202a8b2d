"""An agent's log: a file that its process appends to by itself, kept small by whoever watches the process.

The process writes without anybody's help, so that it lives on when its worker dies. Therefore the file is
copied and cut off in its place, as logrotate's copytruncate does; between two looks it may grow.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from pathlib import Path
from typing import BinaryIO

LONGEST_LINE = 16 * 1024
READ_AT_ONCE = 256 * 1024


def opened(path: Path) -> BinaryIO:
    """For a process to append to; for nobody else to read."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    os.fchmod(handle, stat.S_IRUSR | stat.S_IWUSR)
    return os.fdopen(handle, "ab", buffering=0)


def rotate(path: Path, most_bytes: int) -> bool:
    """Once the file has grown past `most_bytes`: its end is kept as `<name>.1`, and it starts anew.

    What is written meanwhile is kept too, up to as much again.
    """
    try:
        size = path.stat().st_size
    except OSError:
        return False
    if size <= most_bytes:
        return False
    kept = path.with_name(f"{path.name}.1")
    new = path.with_name(f"{path.name}.new")
    with path.open("rb+") as file, opened(new) as copy:
        copy.truncate(0)
        file.seek(max(0, size - most_bytes))
        left = 2 * most_bytes
        while chunk := file.read(min(1 << 20, left)):
            copy.write(chunk)
            left -= len(chunk)
        file.truncate(0)
    new.replace(kept)
    return True


def tail(path: Path, lines: int) -> tuple[list[str], int]:
    """The last lines, the oldest first, and the position where they end."""
    kept: deque[str] = deque(maxlen=lines)
    previous = path.with_name(f"{path.name}.1")
    position = 0
    for file in (previous, path):
        found, position = _end_of(file, lines)
        kept.extend(found)
    return list(kept), position


def since(path: Path, position: int) -> tuple[list[str], int]:
    """The whole lines that were written after a position, and the position where they end."""
    size = _size(path)
    if size < position:
        position = 0  # it was cut off meanwhile
    if size == position:
        return [], position
    with path.open("rb") as file:
        file.seek(position)
        data = file.read(READ_AT_ONCE)
    whole, newline, rest = data.rpartition(b"\n")
    if not newline:
        if len(rest) < LONGEST_LINE:
            return [], position
        whole = rest
    return _lines(whole), position + len(whole) + len(newline)


def _end_of(path: Path, lines: int) -> tuple[list[str], int]:
    """Read backwards, piece by piece, until there are enough lines."""
    size = _size(path)
    if size == 0 or lines < 1:
        return [], size
    data, start = b"", size
    with path.open("rb") as file:
        while start > 0 and data.count(b"\n") <= lines and len(data) < lines * LONGEST_LINE:
            step = min(READ_AT_ONCE, start)
            start -= step
            file.seek(start)
            data = file.read(step) + data
    return _lines(data.removesuffix(b"\n"))[-lines:], start + len(data)


def _lines(data: bytes) -> list[str]:
    return [line[:LONGEST_LINE].decode(errors="replace") for line in data.split(b"\n")]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
