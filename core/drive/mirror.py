"""A folder beside an agent's process: the agent's files, as it sees them.

Whatever lies in the folder may be a trap: no symbolic link in it is followed, and no name of a file becomes
a way out of it.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import structlog
from pymongo.database import Database

from core.drive import folders
from core.drive.files import STORED, Place
from core.drive.folders import Found
from core.drive.offered import BY
from core.drive.storage import Storage
from core.errors import BytesMissing

Document = dict[str, Any]
Names = tuple[str, ...]

SEEN = ("workspace", "drive")
MOST_FILES = 1000
MOST_LISTED = 10 * MOST_FILES
"""What a process puts there by itself is taken away, so many files a look."""
DEEPEST = folders.DEEPEST - len(SEEN)
LONGEST_PART = 120
ODD = re.compile(r"[\x00-\x1f\x7f/\\]")

log = structlog.get_logger(__name__)


class Mirror:
    """Of one agent. `box`: the folder that its process has to itself; `place`: whose files these are."""

    def __init__(self, db: Database[Document], storage: Storage, box: Path, place: Place) -> None:
        self.db = db
        self.storage = storage
        self.box = box
        self.place = place

    def pull(self, most: int = MOST_FILES) -> int:
        """Bring so many files that are new or differ, take away what is none; how many changed.

        Raises `StorageAway`.
        """
        wanted, there = paths(self._records()), self._there()
        changed = sum(self._taken_away(path) for path in there.keys() - wanted.keys())
        missed = []
        for path, record in wanted.items():
            if changed >= most:
                break
            if not _is_same(there.get(path), record):
                brought = self._brought(path, record)
                changed += brought
                missed += [] if brought else [record["_id"]]
        if missed:
            log.warning("drive.not_brought", agent_id=self.place.agent_id, n=len(missed), first=missed[0])
        return changed

    def _records(self) -> list[Document]:
        """The agent's own files, oldest first, but for those that it offered itself."""
        place = {"workspace_id": self.place.workspace_id, "agent_id": self.place.agent_id}
        wanted = {**place, "state": STORED, "storage": self.storage.kind, "created_by": {"$ne": BY}}
        return list(self.db.drive_files.find(wanted).sort([("created_at", 1), ("_id", 1)]).limit(MOST_FILES))

    def _there(self) -> dict[Names, Found]:
        """What lies there, by its path; nothing behind a link on the way."""
        there: dict[Names, Found] = {}
        with contextlib.suppress(OSError):
            for found in islice(folders.files(self.box, SEEN), MOST_LISTED):
                there[found.path[len(SEEN) :]] = found
        return there

    def _taken_away(self, path: Names) -> bool:
        with contextlib.suppress(OSError):  # a process that bars the way harms itself alone
            folders.unlink(self.box, (*SEEN, *path), keep=len(SEEN))
            return True
        return False

    def _brought(self, path: Names, record: Document) -> bool:
        try:
            with folders.place(self.box, (*SEEN, *path), make=True) as (folder, name):
                self._write(folder, name, record)
        except (BytesMissing, OSError):
            return False
        return True

    def _write(self, folder: int, name: str, record: Document) -> None:
        """In one step, with the time of the record: so a change of either is seen."""
        new = f".{record['_id']}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new, dir_fd=folder)
        with (
            closing(self.storage.read(record["key"])) as reading,
            os.fdopen(os.open(new, folders.NEW, 0o600, dir_fd=folder), "wb") as out,
        ):
            for piece in reading:
                out.write(piece)
            out.flush()
            os.utime(out.fileno(), (record["created_at"].timestamp(),) * 2)
        with contextlib.suppress(OSError):  # an empty folder of that name is in the way
            os.rmdir(name, dir_fd=folder)
        os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)


def paths(records: list[Document]) -> dict[Names, Document]:
    """Where each file lies: by its path, as far as that can be a path; no two in one place. Pure."""
    found: dict[Names, Document] = {}
    above: set[Names] = set()
    for record in records:
        path = tuple(_part(part) for part in record["path"].split("/") if part not in ("", "."))
        blocked = path in found or path in above or any(path[:n] in found for n in range(1, len(path)))
        if blocked or not 0 < len(path) <= DEEPEST:
            path = (f"{record['_id']}-{_part(record['name'])}",)
        found[path] = record
        above.update(path[:n] for n in range(1, len(path)))
    return found


def _part(text: str) -> str:
    """As a name in a folder."""
    name = ODD.sub("_", text)
    name = name if name.strip(".") else f"_{name}"
    while len(name.encode(errors="replace")) > LONGEST_PART:
        name = name[: len(name) * 3 // 4]
    return name.encode(errors="replace").decode()


def _is_same(found: Found | None, record: Mapping[str, Any]) -> bool:
    if found is None or found.size != record["size"]:
        return False
    return bool(abs((found.modified - record["created_at"]).total_seconds()) < 0.001)
