"""Pages of a list, newest first, stable under inserts: read by windows of `created_at`.

A plain sort and limit reads every match on the embedded server (784 ms for 20,000 jobs); a window that
grows until the page is full reads what it shows (12 ms), and is as good on a real MongoDB. That server uses
an index only for a query of just the fields that it begins with: what else is asked is looked at here.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pymongo.collection import Collection

from core.clock import utcnow
from core.errors import Invalid
from core.store.free_json import packed
from core.store.indexes import index_for
from core.store.matching import fields_of, matches
from core.store.walk import Walk
from core.store.windows import AHEAD, NO_PLACES, OLDEST, Places

Row = TypeVar("Row", bound=Mapping[str, Any])

DEFAULT_LIMIT = 50
MOST = 200
LOOKED_AT = 500
"""So many documents are looked at for one page where no index knows all that is asked: some 30 ms."""
MOST_BYTES = 4_000_000
"""A page ends before its documents are larger than this together, but for its first: one may be as large."""
SENT = 26
"""Documents that the store sends at once, half a page: a reply of many may be many times `MOST_BYTES`."""

EDGES: dict[tuple[str, ...], datetime] = {}
"""Of each list that was looked at, by collection and values, when its newest was made; `OLDEST`: all of it
was looked at, and it has few. Only a hint."""
MOST_EDGES = 10_000
FEW = 100


def page(
    collection: Collection[Row],
    query: Mapping[str, Any],
    *,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    shown: Mapping[str, Any] | None = None,
    places: Places = NO_PLACES,
) -> tuple[list[Row], str | None]:
    """The next `limit` documents that match `query`, and the cursor of the page after (None: no more).

    `shown`: the projection, where not all of a document is wanted. `places`: of `windows.back`. Where `query`
    asks for more than an index knows, a page may have fewer items, or none, and a cursor that looks further;
    so it may where documents are large.
    Raises `Invalid` for a cursor that we did not make, and `LookupError` for a list that no index serves.
    """
    equality, rest = _split(collection.name, query)
    read = dict.fromkeys((*fields_of(rest), "created_at"), 1) if rest else shown
    after = _decode(cursor) if cursor else None
    upper = after[0] if after else until or utcnow() + timedelta(minutes=1)
    found: list[Row] = []
    room, looked_at = Room(), 0
    seen = (collection.full_name, *equality.values())
    walk = Walk(collection, equality, read, LOOKED_AT if rest else SENT)
    oldest = since or OLDEST
    edge, latest = EDGES.get(seen), upper > utcnow()
    rows = walk.whole(upper, oldest) if edge == OLDEST else walk.back(upper, oldest, places, edge)
    for row in rows:
        if not looked_at and latest:
            _remember(seen, row["created_at"])
        if after and _place(row) >= after:
            continue
        if len(found) == limit or (not rest and not room.takes(row)):
            return _shown(collection, found, rest, shown, cursor_after(found[-1]))
        looked_at += 1
        if matches(row, rest):
            found.append(row)
        elif looked_at >= LOOKED_AT:
            return _shown(collection, found, rest, shown, cursor_after(row))
    if looked_at < FEW and latest and since is None:
        _remember(seen, OLDEST)
    return _shown(collection, found, rest, shown, None)


def _remember(seen: tuple[str, ...], newest: datetime) -> None:
    """When the newest of a list was made: the next look at it goes there at once, not through all before. A
    list of few is read in one go, not window by window back to the oldest time."""
    if len(EDGES) >= MOST_EDGES:
        EDGES.clear()
    EDGES[seen] = newest


def _split(collection: str, query: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What the index of the list knows, and what it does not."""
    fields = index_for(collection, query)
    equality = {name: _one(query[name]) for name in fields}
    return equality, {name: asked for name, asked in query.items() if equality.get(name) != asked}


def _one(asked: Any) -> Any:
    """Of several that a document must all have, one will do for the index."""
    return asked["$all"][0] if isinstance(asked, Mapping) else asked


def few(
    rows: Iterable[Row], *, limit: int, cursor: str | None, since: datetime | None
) -> tuple[list[Row], str | None]:
    """A page of rows that are so few that all of them were read."""
    after = _decode(cursor) if cursor else None
    found = [
        row
        for row in sorted(rows, key=_place, reverse=True)
        if (after is None or _place(row) < after) and (since is None or row["created_at"] >= since)
    ]
    return found[:limit], cursor_after(found[limit - 1]) if len(found) > limit else None


def reached(cursor: str) -> datetime:
    """How far back the page before this cursor has looked."""
    return _decode(cursor)[0]


def _shown(
    collection: Collection[Row],
    found: list[Row],
    rest: Mapping[str, Any],
    shown: Mapping[str, Any] | None,
    cursor: str | None,
) -> tuple[list[Row], str | None]:
    """Where we had to look ourselves, just the fields that this takes were read."""
    if not rest:
        return found, cursor
    room, items = Room(), list[Row]()
    for row in whole(collection, [row["_id"] for row in found], shown):
        if not room.takes(row):
            return items, cursor_after(items[-1])
        items.append(row)
    return items, cursor


def whole(
    collection: Collection[Row], ids: Sequence[str], shown: Mapping[str, Any] | None = None
) -> Iterator[Row]:
    """The documents with these ids, in their order, read a few at a time; without those that are gone."""
    for first in range(0, len(ids), SENT):
        some = ids[first : first + SENT]
        # By `_id` alone: on the embedded server any other field would make it look at all documents.
        found = {row["_id"]: row for row in collection.find({"_id": {"$in": some}}, shown)}
        yield from (found[one] for one in some if one in found)


@dataclass
class Room:
    """What is left of a page, in bytes."""

    left: int = MOST_BYTES

    def takes(self, row: Mapping[str, Any]) -> bool:
        """Is there room for this one, too? There is for the first."""
        first = self.left == MOST_BYTES
        self.left -= len(packed(row))
        return first or self.left >= 0


def _place(row: Mapping[str, Any]) -> tuple[datetime, str]:
    return row["created_at"], row["_id"]


def cursor_after(last: Mapping[str, Any]) -> str:
    """The cursor of the page that goes on behind this document."""
    text = f"{int(last['created_at'].timestamp() * 1000)} {last['_id']}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[datetime, str]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        millis, _, last_id = text.partition(" ")
        at = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(millis))
    except (binascii.Error, UnicodeDecodeError, ValueError, OverflowError):
        raise Invalid("the cursor is not one of ours", code="bad_cursor") from None
    if not last_id or not OLDEST <= at <= utcnow() + AHEAD:
        raise Invalid("the cursor is not one of ours", code="bad_cursor")
    return at, last_id
