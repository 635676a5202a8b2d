"""Keeping a file that we made ourselves: its bytes are written here, and it is stored when this returns."""

from __future__ import annotations

import secrets
from typing import Any

from pymongo.database import Database

from core.drive import files, installation, keys, media, quota
from core.drive.files import ARRIVING, Place
from core.drive.receive import Received
from core.drive.storage import Storage
from core.errors import Conflict
from core.ids import new_id
from core.store.repeat import insert_once

Document = dict[str, Any]


class Writing:
    """A file that is being made, as something to write to. `upload_id`: the id of a job that makes it."""

    def __init__(self, db: Database[Document], storage: Storage, upload_id: str | None = None) -> None:
        self.db = db
        self.storage = storage
        self.id = upload_id or new_id()
        self.size = 0
        self._sample = media.Sample()
        # What an earlier try has left there is in nobody's way.
        self._key = keys.staged(installation.name(db), self.id, secrets.randbelow(2**31))
        self._staging = storage.stage(self._key)

    def write(self, data: bytes) -> int:
        """Raises `StorageAway`, `StorageFull`."""
        self.size += len(data)
        self._sample.feed(data)
        self._staging.write(data)
        return len(data)

    def sha256(self) -> str:
        """Of all that was written, in hex."""
        return self._staging.sha256()

    def drop(self) -> None:
        """It is not wanted."""
        self._staging.drop()

    def kept(self, place: Place, *, name: str, path: str, by: str, quota_bytes: int | None) -> Document:
        """Its record, stored. Raises `TooLarge` over the quota; after a failure nothing is kept."""
        try:
            self._staging.keep()
            quota.charge(self.db, place.workspace_id, self.id, self.size, quota=quota_bytes)
        except BaseException:
            self.drop()
            raise
        record = self._recorded(place, name=name, path=path, by=by)
        kind = media.media_type(self._sample, name)
        try:
            self.storage.move(self._key, record["key"], kind)
        except BaseException:
            files.mark(self.db, record, ARRIVING)
            raise
        if not files.store(self.db, record, kind):
            raise Conflict("the file was given up meanwhile")
        return files.get(self.db, place.workspace_id, record["_id"])

    def _recorded(self, place: Place, *, name: str, path: str, by: str) -> Document:
        received = Received(name, self.size, self.sha256(), self._key)
        born = {"file_id": new_id(), "upload_id": self.id, "path": path, "created_by": by}
        record = files.born(received, place=place, **born)
        insert_once(self.db.drive_files, record)
        quota.settle(self.db, place.workspace_id, self.id)
        return record
