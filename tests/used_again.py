"""Databases with all indexes, used again once they are emptied, since making the indexes takes long."""

from __future__ import annotations

from collections import deque
from typing import Any

from pymongo.database import Database
from pymongo.monitoring import CommandListener

from core.store import indexes
from tests import given

APART = 3
"""So many tests lie between two of one database: what a test left running has ended by then."""
CHANGES = {"create", "createIndexes", "drop", "dropDatabase", "dropIndexes", "renameCollection"}
FEW = 50
"""Documents that are sooner deleted than their collection is made anew."""


class Changed(CommandListener):
    """Which databases were changed in their collections or indexes: these are not used again."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def started(self, event: Any) -> None:
        if event.command_name in CHANGES:
            self.names.add(event.database_name)

    def succeeded(self, event: Any) -> None:
        """Of no interest."""

    def failed(self, event: Any) -> None:
        """Of no interest."""


class Databases:
    """`changed` listens to `mongo`. What other clients and processes changed is seen by its number."""

    def __init__(self, mongo: Any, changed: Changed) -> None:
        self.mongo, self.changed = mongo, changed
        self.made: tuple[int, int] = (0, 0)
        self.used: deque[Database[dict[str, Any]]] = deque()

    def take(self) -> Database[dict[str, Any]]:
        """An empty one."""
        while len(self.used) >= APART:
            database = self.used.popleft()
            if database.name not in self.changed.names and self._emptied(database):
                return database
            self.mongo.drop_database(database.name)
        return self._new()

    def give_back(self, database: Database[dict[str, Any]]) -> None:
        self.used.append(database)

    def close(self) -> None:
        for database in self.used:
            self.mongo.drop_database(database.name)

    def _new(self) -> Database[dict[str, Any]]:
        database: Database[dict[str, Any]] = self.mongo[given.new_database()]
        indexes.ensure(database)
        self.made, _ = _told(database)
        self.changed.names.discard(database.name)
        return database

    def _emptied(self, database: Database[dict[str, Any]]) -> bool:
        """False: it has more collections or indexes than a new one, or less, or very many documents."""
        made, documents = _told(database)
        if made != self.made:
            return False
        for name, some in _filled(database) if documents else []:
            if some == FEW:
                return False
            database[name].delete_many({})
        return True


def _told(database: Database[dict[str, Any]]) -> tuple[tuple[int, int], int]:
    """How many collections and indexes it has, and how many documents."""
    told = database.command("dbStats")
    return (int(told["collections"]), int(told["indexes"])), int(told["objects"])


def _filled(database: Database[dict[str, Any]]) -> list[tuple[str, int]]:
    """The collections with documents, and how many, at most `FEW`: by one command."""
    first, *others = (
        (name, [{"$limit": FEW}, {"$group": {"_id": {"$literal": name}, "n": {"$sum": 1}}}])
        for name in indexes.INDEXES
    )
    unions = [{"$unionWith": {"coll": name, "pipeline": pipeline}} for name, pipeline in others]
    return [(one["_id"], one["n"]) for one in database[first[0]].aggregate([*first[1], *unions])]
