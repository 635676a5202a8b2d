"""Recent usage: of a day that is open, each quarter of an hour: a mark, and what the quarter came to.

So what reads today reads some small documents, and rows of the ledger only of the quarter that runs and of
those that something came into since: its time follows the hours of the day, not its calls. Opened, computed
and closed as the other marks (`core.metering.marks`). A day whose mark does not say `quarters` was closed
before, or had a row that came days late: it is read from the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.database import Database

from core.clock import utcnow
from core.metering import marks, rollups, speeds, sums
from core.store import aside

Document = dict[str, Any]

LENGTH = timedelta(minutes=15)
KEPT = timedelta(days=2)
QUARTERS_A_TICK = 200
KEY = (*sums.DIMENSIONS, "key_id")


def groups(
    db: Database[Document], days: Iterable[Mapping[str, Any]], agent_id: str | None = None
) -> Iterator[Document]:
    """Sums and speeds of open days, by `KEY`, `date` and `quarter`; some more than once.

    `days`: their marks, as they were read before. `agent_id`: of this agent alone.
    """
    for day in days:
        whose = {"agent_id": agent_id} if agent_id else {"workspace_id": day["workspace_id"]}
        if day.get("quarters"):
            yield from _of_quarters(db, day, whose)
        else:
            yield from of_ledger(db, {**whose, "date": day["date"]})


def begins(mark: Mapping[str, Any]) -> datetime:
    """The moment at which a quarter of a date begins."""
    midnight = datetime.fromisoformat(mark["date"]).replace(tzinfo=UTC)
    return midnight + int(mark["quarter"]) * LENGTH


def of_ledger(
    db: Database[Document], indexed: Mapping[str, Any], among: Mapping[str, Any] | None = None
) -> Iterator[Document]:
    """The same from the ledger. `indexed`: fields of one index and nothing else; `among` narrows it."""
    more = {"key_id": "$key_id", "date": "$date", "quarter": rollups.QUARTER}
    for row in db.token_usage.aggregate(rollups.by_dimensions(indexed, among, **more)):
        yield {**row, **row["_id"], "quarter": int(row["_id"]["quarter"]), "speeds": speeds.counted(row)}


def tick(db: Database[Document], now: datetime | None = None, *, limit: int = QUARTERS_A_TICK) -> Document:
    """Compute the quarters that are marked and over; remove those of days that nobody reads so any more."""
    now = now or utcnow()
    at, left = now, iter(range(limit))

    def see_to(mark: Document) -> bool:
        return _ends(mark) <= at and next(left, None) is not None and compute(db, mark)

    opened = list(db.usage_recent.find({"open": True}, {"groups": 0}))
    closed = aside.each(db, "recent", opened, see_to)
    days = [day.get("date") for day in db.usage_days.find({"open": True}, {"date": 1})]
    still_open = [date for date in days if isinstance(date, str)]
    oldest = min([f"{now - KEPT:%Y-%m-%d}", *still_open])
    removed = db.usage_recent.delete_many({"date": {"$lt": oldest}}).deleted_count
    return {"quarters": sum(closed), "removed": removed}


def compute(db: Database[Document], mark: Mapping[str, Any]) -> bool:
    """A quarter from the ledger; False: rows came in meanwhile, so once more."""
    within = {"workspace_id": mark["workspace_id"], "timestamp": {"$gte": begins(mark), "$lt": _ends(mark)}}
    found = list(of_ledger(db, within))
    fast = speeds.fold(found, _key)
    whole = [
        {**dict(zip(KEY, key, strict=True)), **sums.stored(of), "speeds": speeds.stored(fast[key])}
        for key, of in sums.fold(found, _key).items()
    ]
    return marks.close(db.usage_recent, mark, {"groups": whole})


def _of_quarters(
    db: Database[Document], day: Mapping[str, Any], whose: Mapping[str, str]
) -> Iterator[Document]:
    wanted = {name: day[name] for name in ("workspace_id", "date")}
    opened = []
    # First of all: a quarter that is closed after this line is read from the ledger, which is as good.
    for found in db.usage_recent.find(wanted):
        if found["open"]:
            opened.append(found)
            continue
        for group in found["groups"]:
            if group["agent_id"] == whose.get("agent_id", group["agent_id"]):
                yield {**group, "date": found["date"], "quarter": found["quarter"]}
    for since, until in _stretches(opened):
        within = {"workspace_id": day["workspace_id"], "timestamp": {"$gte": since, "$lt": until}}
        yield from of_ledger(db, within, whose)


def _key(found: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(found[name] for name in KEY)


def _ends(mark: Mapping[str, Any]) -> datetime:
    return begins(mark) + LENGTH


def _stretches(opened: Iterable[Mapping[str, Any]]) -> list[tuple[datetime, datetime]]:
    """From when to when quarters of a day lie without a gap."""
    found: list[tuple[datetime, datetime]] = []
    for since in sorted(map(begins, opened)):
        if found and found[-1][1] == since:
            found[-1] = (found[-1][0], since + LENGTH)
        else:
            found.append((since, since + LENGTH))
    return found
