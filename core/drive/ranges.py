"""What to answer to a request for a file: all of it, a part, or that nothing changed (RFC 9110). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import NamedTuple

RANGE = re.compile(
    r"bytes\s*=\s*(?:(\d{1,20})\s*-\s*(\d{1,20})?|-\s*(\d{1,20}))\s*", re.IGNORECASE | re.ASCII
)
TAG = re.compile(r'(W/)?"([^"]*)"')


class Part(NamedTuple):
    """`status`: 200, 206, 304, 412 or 416. The bytes from `start` up to `stop` are the answer's body."""

    status: int
    start: int
    stop: int


def asked(headers: Mapping[str, str], *, etag: str, modified: datetime, size: int) -> Part:
    """What these headers ask for. `etag`: strong, without its quotes. `headers`: their names any case.

    Several ranges at once are answered by the whole, which RFC 9110 (14.2) allows.
    """
    said = {name.lower(): value for name, value in headers.items()}
    status = _precondition(said, etag, modified)
    if status is not None:
        return Part(status, 0, 0)
    found = RANGE.fullmatch(said.get("range", ""))
    if found is None or not _still_the_same(said.get("if-range"), etag, modified):
        return Part(200, 0, size)
    start, stop = _bounds(found, size)
    return Part(206, start, stop) if start < stop else Part(416, 0, 0)


def _precondition(said: Mapping[str, str], etag: str, modified: datetime) -> int | None:
    """In the order of RFC 9110, 13.2.2."""
    if "if-match" in said:
        if not _names(said["if-match"], etag, strongly=True):
            return 412
    elif _date(said.get("if-unmodified-since"), modified) is False:
        return 412
    if "if-none-match" in said:
        return 304 if _names(said["if-none-match"], etag) else None
    return 304 if _date(said.get("if-modified-since"), modified) else None


def _names(header: str, etag: str, *, strongly: bool = False) -> bool:
    if header.strip() == "*":
        return True
    return any(tag == etag and not (weak and strongly) for weak, tag in TAG.findall(header))


def _date(header: str | None, modified: datetime) -> bool | None:
    """Was it unchanged since that date? None: no date, or one that cannot be read."""
    at = _read(header)
    return None if at is None else modified.replace(microsecond=0) <= at


def _still_the_same(if_range: str | None, etag: str, modified: datetime) -> bool:
    """A date says it only when it is exactly ours (RFC 9110, 13.1.5)."""
    if if_range is None:
        return True
    if '"' in if_range:
        found = TAG.fullmatch(if_range.strip())
        return found is not None and not found[1] and found[2] == etag
    return _read(if_range) == modified.replace(microsecond=0)


def _read(header: str | None) -> datetime | None:
    try:
        at = parsedate_to_datetime(header or "")
    except (TypeError, ValueError, OverflowError):
        return None
    return at if at.tzinfo is not None and at.utcoffset() == timedelta(0) else None


def _bounds(found: re.Match[str], size: int) -> tuple[int, int]:
    """The part of the file that a range means; empty when there is none."""
    first, last, suffix = found.groups()
    if suffix is not None:
        return max(0, size - int(suffix)), size
    if last is not None and int(last) < int(first):
        return 0, 0
    return int(first), size if last is None else min(int(last) + 1, size)
