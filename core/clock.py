"""Times and durations, read and written in one place."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

UNITS = {"": "seconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def utcnow() -> datetime:
    """Now, aware, in UTC, cut to the milliseconds that the store keeps."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def rfc3339(at: datetime | None) -> str | None:
    """`2026-11-24T10:25:00.123Z`."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def duration(value: object) -> timedelta:
    """`90`, `90s`, `10m`, `12h`, `30d`; a number is seconds. Raises `ValueError`."""
    if isinstance(value, timedelta):
        return value
    found = re.fullmatch(r"(\d{1,8})([smhd]?)", "" if isinstance(value, bool) else str(value), re.ASCII)
    if found is None:
        raise ValueError("must be seconds, or a number with its unit: 90s, 10m, 12h, 30d")
    try:
        return timedelta(**{UNITS[found[2]]: int(found[1])})
    except OverflowError:
        raise ValueError("is too long") from None
