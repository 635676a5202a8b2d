"""What was taken up of a folder already, noted in a file beside it, which outlives the worker that did."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from core.drive import folders
from core.drive.folders import Found

Names = tuple[str, ...]


class Known:
    """Which version of each file it was. What the notes do not tell is taken up again."""

    def __init__(self, notes: Path) -> None:
        self._notes = notes
        self._versions = _read(notes)
        self._saved = dict(self._versions)

    def has(self, found: Found) -> bool:
        """This very version?"""
        return self._versions.get(_name(found)) == _version(found)

    def add(self, found: Found) -> None:
        self._versions[_name(found)] = _version(found)

    def keep(self, there: Iterable[Found]) -> None:
        """Forget all others."""
        names = set(map(_name, there))
        self._versions = {name: version for name, version in self._versions.items() if name in names}

    def save(self) -> None:
        """In one step. Raises `StorageAway`, `StorageFull`."""
        if self._versions == self._saved:
            return
        draft = self._notes.with_name(f".{self._notes.name}")
        with folders.told():
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, folders.NEW, 0o600), "w") as file:
                json.dump(self._versions, file)
            draft.replace(self._notes)
        self._saved = dict(self._versions)


def _read(notes: Path) -> dict[str, list[str | int]]:
    with suppress(OSError, ValueError):
        read = json.loads(notes.read_text())
        return read if isinstance(read, dict) else {}
    return {}


def _name(found: Found) -> str:
    return "/".join(found.path)


def _version(found: Found) -> list[str | int]:
    return [found.size, datetime.isoformat(found.modified)]
