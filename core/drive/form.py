"""A form as it arrives: `multipart/form-data` (RFC 7578), read piece by piece, never held as a whole."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser

from core.drive import names
from core.drive.storage import Bytes
from core.errors import Invalid, TooLarge

MOST_FILES = 100
MOST_PARTS = MOST_FILES + 20
LONGEST_FIELD = 64 * 1024
LONGEST_HEADER = 64 * 1024
MOST_AROUND = 8 * 1024 * 1024
"""Bytes that belong to no file: headers, fields, and whatever stands before and after the form."""

BOUNDARY = re.compile(r'multipart/form-data\s*;(?:.*;)?\s*boundary\s*=\s*(?:"([^"]+)"|([^\s;"]+))', re.I)


class Begin(NamedTuple):
    """A file begins; its bytes follow, then None."""

    field: str
    name: str


class Field(NamedTuple):
    """A field that is no file, whole."""

    name: str
    value: str


Piece = bytes | bytearray
Event = Begin | Bytes | None | Field


def boundary(content_type: str) -> str:
    """What stands between the parts. Raises `Invalid` for another kind of body."""
    if not content_type.lower().startswith("multipart/form-data"):
        raise Invalid("send the files as multipart/form-data", code="unsupported_media_type")
    found = BOUNDARY.match(content_type)
    if found is None:
        raise Invalid("the form's Content-Type names no boundary", code="malformed")
    return str(found[1] or found[2])


def events(between: str, pieces: Iterable[Piece]) -> Iterator[Event]:
    """What is in a form. Raises `Invalid` for a broken one, `TooLarge` for one that holds too much.

    Files are told as they come, of any length: whoever listens sets the limit. Their bytes are those of the
    pieces, not copies; inside a file something is told of each piece, if need be no bytes: who hears of the
    next one is done with the last.
    """
    parser = PushMultipartParser(
        between, max_header_size=LONGEST_HEADER, max_segment_count=MOST_PARTS, max_header_count=8
    )
    try:
        with parser:
            yield from _events(parser, _Inside(between), pieces)
    except ParserLimitReached:
        raise TooLarge(
            f"a form has at most {MOST_FILES} files, and headers of {LONGEST_HEADER} bytes"
        ) from None
    except MultipartError as error:
        raise Invalid(f"the form is broken: {error.args[0].lower()}", code="malformed") from None


def _events(parser: PushMultipartParser, inside: _Inside, pieces: Iterable[Piece]) -> Iterator[Event]:
    around, text = 0, None
    for piece in pieces:
        own, rest = inside.split(piece)
        if inside.open:
            yield own
        around += len(rest)
        for event in parser.parse(rest) if rest else ():
            if isinstance(event, MultipartSegment):
                field, name = names.of_part(event.header("Content-Disposition", ""))
                text = _Text(field) if name is None else None
                if name is not None:
                    inside.begins(event)
                    yield Begin(field, name)
            elif text is None:
                if event is None:
                    inside.ends()
                around -= len(event or b"")
                yield event
            elif event is not None:
                text.add(event)
            else:
                yield text.whole()
        if around > MOST_AROUND:
            raise TooLarge("the form holds too much beside its files")


class _Inside:
    """Finds what of a piece is a file's for sure, which the parser would copy. That gets the rest."""

    def __init__(self, between: str) -> None:
        self._end = b"\r\n--" + between.encode()
        self.open = False
        self._tail = b""
        """The last bytes that the parser got: it may hold back the beginning of a boundary."""

    def begins(self, part: MultipartSegment) -> None:
        """A file does. The length that it may say of itself is the parser's to compare."""
        self.open = part.header("Content-Length") is None

    def ends(self) -> None:
        self.open = False

    def split(self, piece: Piece) -> tuple[memoryview, Piece]:
        own = self._own(piece) if self.open and not self._held_back() else 0
        rest = piece[own:]
        longest = len(self._end) + 1
        self._tail = ((b"" if own else self._tail) + rest[-longest:])[-longest:]
        return memoryview(piece)[:own], rest

    def _held_back(self) -> bool:
        at = self._tail.rfind(b"\r")
        return at >= 0 and (self._end.startswith(self._tail[at:]) or self._tail.startswith(self._end, at))

    def _own(self, piece: Piece) -> int:
        at = piece.find(self._end)
        if at < 0:
            at = piece.rfind(b"\r", max(0, len(piece) - len(self._end) + 1))
        return at if at >= 0 and self._end.startswith(piece[at : at + len(self._end)]) else len(piece)


class _Text:
    """A field's value as it comes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.data = b""

    def add(self, data: bytes) -> None:
        self.data += data
        if len(self.data) > LONGEST_FIELD:
            raise TooLarge(f"a field has at most {LONGEST_FIELD} bytes")

    def whole(self) -> Field:
        try:
            return Field(self.name, self.data.decode())
        except UnicodeDecodeError:
            raise Invalid(f"the field {self.name} is not UTF-8", code="malformed") from None
