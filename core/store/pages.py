"""Pages of a list, newest first, stable under inserts: read by windows of `created_at`.

A plain sort and limit reads every match on the embedded server (784 ms for 20,000 jobs); a window that
grows until the page is full reads what it shows (12 ms), and is as good on a real MongoDB.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pymongo.collection import Collection

from core.clock import utcnow
from core.errors import Invalid
from core.store.indexes import LISTS

Row = TypeVar("Row", bound=Mapping[str, Any])

FIRST_WINDOW = timedelta(minutes=10)
GROWTH = 4
OLDEST = datetime(2020, 1, 1, tzinfo=UTC)
DEFAULT_LIMIT = 50
MOST = 200


def page(
    collection: Collection[Row],
    equality: Mapping[str, Any],
    *,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    shown: Mapping[str, Any] | None = None,
) -> tuple[list[Row], str | None]:
    """The next `limit` documents that match `equality`, and the cursor of the page after (None: no more).

    `shown`: the projection, where not all of a document is wanted.
    Raises `Invalid` for a cursor that we did not make, and `LookupError` for a list that no index serves:
    `equality` has at least the fields that `core.store.indexes.LISTS` names for the collection.
    """
    if not equality.keys() >= set(LISTS[collection.name]):
        raise LookupError(f"{collection.name} is read by {LISTS[collection.name]}, not by {list(equality)}")
    upper, after_id = _decode(cursor) if cursor else (until or utcnow() + timedelta(minutes=1), None)
    oldest = since or OLDEST
    items: list[Row] = []
    width = FIRST_WINDOW
    high, inclusive = upper, True
    while high >= oldest:
        low = max(high - width, oldest)
        bounds = {"$gte": low, ("$lte" if inclusive else "$lt"): high}
        found = collection.find({**equality, "created_at": bounds}, shown)
        with found.sort([("created_at", -1), ("_id", -1)]).batch_size(limit + 2) as rows:
            for row in rows:
                if after_id is not None and row["created_at"] == upper and row["_id"] >= after_id:
                    continue
                if len(items) == limit:
                    return items, _encode(items[-1])
                items.append(row)
        if low == oldest:
            break
        high, inclusive, width = low, False, width * GROWTH
    return items, None


def _encode(last: Mapping[str, Any]) -> str:
    text = f"{int(last['created_at'].timestamp() * 1000)} {last['_id']}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[datetime, str]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        millis, _, last_id = text.partition(" ")
        at = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(millis))
    except (binascii.Error, UnicodeDecodeError, ValueError, OverflowError):
        raise Invalid("the cursor is not one of ours", code="bad_cursor") from None
    if not last_id:
        raise Invalid("the cursor is not one of ours", code="bad_cursor")
    return at, last_id
