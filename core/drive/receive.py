"""Receiving: a form's files go straight into the storage's staging area, which hashes them on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from core.drive import form, names
from core.drive.form import Begin, Field, Piece
from core.drive.storage import Staging, Storage
from core.errors import Invalid, TooLarge

FIELD_OF_FILES = "file"


@dataclass(frozen=True)
class Received:
    """A file that is staged, and durable there. `said`: what the storage says of these bytes, if it does."""

    name: str
    size: int
    sha256: str
    staged: str
    said: str | None = None


@dataclass(frozen=True)
class Limits:
    """`file`: the largest one. `room`: bytes that all of them may have; None: any number."""

    file: int
    room: int | None


@dataclass
class Inbox:
    """What arrived of one upload so far. `key(n)`: where its `n`-th file is staged."""

    storage: Storage
    key: Callable[[int], str]
    limits: Limits
    files: list[Received] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)
    _staged: list[Staging] = field(default_factory=list)

    def take(self, between: str, pieces: Iterable[Piece]) -> None:
        """All of a form. Raises `Invalid`, `TooLarge`, `StorageAway`, `StorageFull`; then nothing is kept."""
        try:
            events = form.events(between, pieces)
            for event in events:
                if isinstance(event, Begin):
                    self._file(event, events)
                elif isinstance(event, Field):
                    self._field(event)
            if not self.files:
                raise Invalid(f"the form holds no file: name its part `{FIELD_OF_FILES}`")
        except BaseException:
            self.drop()
            raise

    def drop(self) -> None:
        """Remove what was staged."""
        for staging in self._staged:
            staging.drop()

    def _file(self, begun: Begin, events: Iterator[Any]) -> None:
        if begun.field != FIELD_OF_FILES:
            raise Invalid(f"a file's part is named `{FIELD_OF_FILES}`", errors=_at(begun.field, "not known"))
        if len(self.files) == form.MOST_FILES:
            raise TooLarge(f"an upload has at most {form.MOST_FILES} files")
        name = names.checked(begun.name, f"/{FIELD_OF_FILES}")
        key = self.key(len(self.files))
        staging = self.storage.stage(key)
        self._staged.append(staging)
        size = 0
        while (data := next(events)) is not None:
            size += len(data)
            self._check(size)
            staging.write(data)
        sha256 = staging.sha256()
        self.files.append(Received(name, size, sha256, key, staging.keep()))

    def _check(self, size: int) -> None:
        if size > self.limits.file:
            raise TooLarge(f"a file has at most {self.limits.file} bytes")
        room = self.limits.room
        if room is not None and size + sum(file.size for file in self.files) > room:
            raise TooLarge("this workspace's quota leaves no room for it", code="quota_exceeded")

    def _field(self, given: Field) -> None:
        if given.name in self.fields:
            raise Invalid("a field was given twice", errors=_at(given.name, "given twice"))
        self.fields[given.name] = given.value


def _at(name: str, detail: str) -> list[dict[str, str]]:
    return [{"pointer": f"/{name}", "detail": detail}]
