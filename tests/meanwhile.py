"""Somebody else: what happens to the store between the moment it is read and the moment it is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pymongo.monitoring import CommandListener


class Meanwhile(CommandListener):
    """Listens to a client whose database is `db`; another client's act gets in before one of its commands."""

    def __init__(self) -> None:
        self.db: Any = None
        self._waiting: list[tuple[str, str, Callable[[], object]]] = []
        self._errors: list[Exception] = []

    def before(self, command: str, collection: str, act: Callable[[], object]) -> None:
        """Do `act` once, just before the next `command` (`find`, `update`, ...) on `collection` is sent.

        A second act for the same waits for the command after that.
        """
        self._waiting.append((command, collection, act))

    def check(self) -> None:
        """All of it happened, and none of it failed."""
        assert not self._waiting, f"nobody came to {[each[:2] for each in self._waiting]}"
        for error in self._errors:
            raise error

    def started(self, event: Any) -> None:
        sent = (event.command_name, event.command.get(event.command_name))
        its = next((each for each in self._waiting if each[:2] == sent), None)
        if its is None:
            return
        self._waiting.remove(its)
        try:
            its[2]()
        except Exception as error:  # noqa: BLE001 - pymongo would print it, and go on
            self._errors.append(error)

    def succeeded(self, event: Any) -> None:
        """Of no interest."""

    def failed(self, event: Any) -> None:
        """Of no interest."""
