"""Periods: the days that a question is about, in the asker's time zone, as moments. Pure."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from core.errors import Invalid

LONGEST_DAYS = 400
WEEK = timedelta(days=6)
DAY = timedelta(days=1)
OF_THIS_MACHINE = frozenset({"localtime", "posixrules", "Factory", "posix", "right"})
"""What some systems keep beside the zones of the IANA table."""


@dataclass(frozen=True)
class Period:
    """Whole days of a time zone, the first and the last included."""

    first: date
    last: date
    zone: tzinfo
    zone_name: str

    @property
    def start(self) -> datetime:
        return _midnight(self.first, self.zone)

    @property
    def end(self) -> datetime:
        """The moment after the last day."""
        return _midnight(self.last + DAY, self.zone)

    @property
    def is_utc(self) -> bool:
        return self.zone is UTC

    def dates(self) -> list[str]:
        return [str(self.first + DAY * n) for n in range((self.last - self.first).days + 1)]

    def whole_utc_dates(self) -> list[str]:
        """The UTC dates that lie in it from midnight to midnight."""
        day = self.start.date() + (DAY if self.start.time() != time.min else timedelta())
        found = []
        while datetime.combine(day + DAY, time.min, UTC) <= self.end:
            found.append(str(day))
            day += DAY
        return found

    def edges(self) -> list[tuple[str, datetime, datetime]]:
        """The parts of UTC dates at its ends that are not whole: date, from, until."""
        found = []
        for day in sorted({self.start.date(), self.end.date()}):
            opens = datetime.combine(day, time.min, UTC)
            begins, ends = max(opens, self.start), min(opens + DAY, self.end)
            if begins < ends and (begins, ends) != (opens, opens + DAY):
                found.append((str(day), begins, ends))
        return found

    def local_date(self, utc_date: str, quarter: int) -> str:
        """The date in this zone of a quarter of an hour of a UTC date."""
        at = datetime.combine(date.fromisoformat(utc_date), time.min, UTC) + timedelta(minutes=15 * quarter)
        return str(at.astimezone(self.zone).date())


def period(
    now: datetime,
    *,
    name: str = "month",
    first: date | None = None,
    last: date | None = None,
    zone_name: str = "UTC",
) -> Period:
    """`day`: today; `week`: the last seven days; `month`: this calendar month so far; or `first` to `last`.

    Raises `Invalid`.
    """
    zone = _zone(zone_name)
    today = now.astimezone(zone).date()
    begin = {"day": today, "week": today - WEEK, "month": today.replace(day=1)}[name]
    if last is not None and first is None:
        raise _wrong("/from", "`to` needs a `from`")
    chosen = Period(first or begin, last or today, zone, zone_name)
    if chosen.last < chosen.first:
        raise _wrong("/to", "`to` lies before `from`")
    if (chosen.last - chosen.first).days >= LONGEST_DAYS:
        raise _wrong("/from", f"at most {LONGEST_DAYS} days at once")
    if chosen.first.year < 2000 or chosen.last.year > 9000:
        raise _wrong("/from", "no such time")
    return chosen


def of_month(month: str) -> Period:
    """A whole month (`2026-11`) in UTC."""
    first = date.fromisoformat(f"{month}-01")
    return Period(first, (month_ends(month) - DAY).date(), UTC, "UTC")


def month_ends(month: str) -> datetime:
    """When a month (`2026-11`) ends: the first moment of the next one, in UTC."""
    begins = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    return (begins + timedelta(days=32)).replace(day=1)


def dates_of(month: str) -> list[str]:
    """All dates of a month."""
    last = (month_ends(month) - DAY).day
    return [f"{month}-{n:02}" for n in range(1, last + 1)]


def stretches(dates: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The first and the last of each run of dates without a gap."""
    first = last = None
    for day in sorted(date.fromisoformat(text) for text in dates):
        if first is None or last is None or day - last > DAY:
            if first is not None:
                yield str(first), str(last)
            first = day
        last = day
    if first is not None:
        yield str(first), str(last)


def _zone(name: str) -> tzinfo:
    if name.upper() in ("UTC", "Z"):
        return UTC
    if name.partition("/")[0] not in OF_THIS_MACHINE:
        with contextlib.suppress(KeyError, ValueError, OSError):  # unknown; not a name; a folder
            return ZoneInfo(name)
    raise _wrong("/tz", f"there is no time zone {name!r}: use a name of the IANA table")


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def _wrong(pointer: str, detail: str) -> Invalid:
    return Invalid(detail, errors=[{"pointer": pointer, "detail": detail}])
