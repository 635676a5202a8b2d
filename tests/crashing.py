"""A process that dies: the real database, through which one of the next writes is not made any more."""

from __future__ import annotations

from typing import Any

WRITES = frozenset(
    (
        "bulk_write",
        "delete_many",
        "delete_one",
        "find_one_and_update",
        "insert_many",
        "insert_one",
        "replace_one",
        "update_many",
        "update_one",
    )
)


class Crash(BaseException):
    """The process is gone; what it wrote before is in the store."""


class Crashing:
    """A database whose writes end after `left` of them; None: they go on."""

    def __init__(self, db: Any, left: int | None) -> None:
        self._db = db
        self._left = left

    def __getattr__(self, name: str) -> _Collection:
        return _Collection(self, self._db[name])

    def write(self) -> None:
        if self._left is not None:
            if self._left == 0:
                raise Crash
            self._left -= 1


class _Collection:
    def __init__(self, db: Crashing, collection: Any) -> None:
        self._db = db
        self._collection = collection

    def __getattr__(self, name: str) -> Any:
        if name in WRITES:
            self._db.write()
        if name == "with_options":
            return lambda **options: _Collection(self._db, self._collection.with_options(**options))
        return getattr(self._collection, name)
