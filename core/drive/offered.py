"""What an agent's process offers: files that it writes to a folder become files of the agent.

Whatever lies in the folder may be a trap: no symbolic link in it is followed, nothing in it is believed.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import structlog
from pymongo.database import Database

from core.drive import files, folders, quota, remove
from core.drive.files import STORED, Place
from core.drive.folders import Found
from core.drive.keep import Writing
from core.drive.known import Known
from core.drive.storage import CHUNK, Storage
from core.errors import BytesMissing, Conflict, TooLarge
from core.ids import new_id
from core.services import Send

Document = dict[str, Any]
OFFERED = ("workspace", "out")
BY = "runtime"
"""`created_by` of such files: no key's id."""
MOST_FILES = 1000
NOTES = "offered.json"
"""Beside the box, where the process does not see it: what was deleted in the drive is not offered again."""
STILL_S = 2.0
"""What was written to within this time may not be whole yet."""

log = structlog.get_logger(__name__)


class Offered:
    """Of one agent. `box`: the folder that its process has to itself; `place`: whose its files become."""

    def __init__(self, db: Database[Document], storage: Storage, box: Path, place: Place) -> None:
        self.db = db
        self.storage = storage
        self.box = box
        self.place = place
        self._known = Known(box.with_name(NOTES))

    def push(self, send: Send, *, largest: int, quota_bytes: int | None, most: int = MOST_FILES) -> int:
        """Keep what is new there, so many files; how many. Raises `StorageAway`, `StorageFull`."""
        room = quota.room(self.db, self.place.workspace_id, quota_bytes)
        limit = largest if room is None else min(largest, room)
        new, there = 0, list(self._there())
        self._known.keep(there)
        try:
            for found in there:
                if new < most and self._is_new(found) and found.size <= limit:
                    new += self._taken(found, send, limit, quota_bytes)
        finally:
            self._known.save()
        return new

    def _there(self) -> Iterator[Found]:
        with contextlib.suppress(OSError):
            yield from islice(folders.files(self.box, OFFERED), MOST_FILES)

    def _is_new(self, found: Found) -> bool:
        still = abs(time.time() - found.modified.timestamp()) < STILL_S
        return not still and not self._known.has(found)

    def _taken(self, found: Found, send: Send, limit: int, quota_bytes: int | None) -> bool:
        try:
            new = self._kept(found, send, limit, quota_bytes)
        except (BytesMissing, Conflict, TooLarge, OSError) as problem:
            log.warning("drive.not_offered", agent_id=self.place.agent_id, error=type(problem).__name__)
            return False
        self._known.add(found)
        return new

    def _kept(self, found: Found, send: Send, limit: int, quota_bytes: int | None) -> bool:
        """False: this very file is one of the agent's already. Earlier versions go."""
        path = "/".join(map(_text, found.path[len(OFFERED) - 1 :]))
        writing = Writing(self.db, self.storage)
        self._copied(found, writing, limit)
        earlier, sha256 = self._offered_as(path), writing.sha256()
        same = next((record for record in earlier if record["sha256"] == sha256), None)
        if same is None:
            writing.kept(self.place, path=path, name=_text(found.path[-1]), by=BY, quota_bytes=quota_bytes)
        else:
            writing.drop()
        for record in earlier:
            if record is not same and files.mark(self.db, record, STORED):
                remove.begin(self.db, send, record, by=BY, request_id=new_id())
        return same is None

    def _copied(self, found: Found, writing: Writing, limit: int) -> None:
        """Raises `TooLarge`, and `Conflict` for a file that changes meanwhile; then nothing is kept."""
        try:
            with (
                folders.place(self.box, found.path) as (folder, name),
                os.fdopen(folders.opened(folder, name), "rb") as read,
            ):
                while piece := read.read(CHUNK):
                    writing.write(piece)
                    if writing.size > limit:
                        raise TooLarge
                about = os.fstat(read.fileno())
            if (about.st_size, datetime.fromtimestamp(about.st_mtime, UTC)) != (found.size, found.modified):
                raise Conflict("this file is being written")
        except BaseException:
            writing.drop()
            raise

    def _offered_as(self, path: str) -> list[Document]:
        place = {"workspace_id": self.place.workspace_id, "agent_id": self.place.agent_id}
        return list(self.db.drive_files.find({**place, "path": path, "state": STORED, "created_by": BY}))


def _text(name: str) -> str:
    """A name that a disk gave, which may be no UTF-8."""
    return os.fsencode(name).decode(errors="replace")
