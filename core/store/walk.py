"""A walk: all documents that have these values, the latest first, window by window of a time.

The embedded server reads all that a filter finds before it gives the first, and serves nobody else meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from pymongo.collection import Collection

from core.store import windows
from core.store.windows import NO_PLACES, OLDEST, Places

Row = TypeVar("Row", bound=Mapping[str, Any])


@dataclass
class Walk(Generic[Row]):
    """`equality`, then `by`, which is a time, are how an index begins. `read`: the projection. `batch`: how
    many are sent at once. `then`: what orders those of one time; for that MongoDB sorts a window's documents,
    which have an order in the index. `held`: how many the last window had."""

    collection: Collection[Row]
    equality: Mapping[str, Any]
    read: Mapping[str, Any] | None
    batch: int
    by: str = "created_at"
    then: tuple[str, ...] = ("_id",)
    held: int = 0

    def back(
        self,
        upper: datetime,
        oldest: datetime = OLDEST,
        places: Places = NO_PLACES,
        edge: datetime | None = None,
    ) -> Iterator[Row]:
        """From `upper` back to `oldest`, both included. `places` and `edge`: of `windows.back`."""
        for n, (low, high) in enumerate(windows.back(upper, oldest, places, edge, held=lambda: self.held)):
            yield from self._through({"$gte": low, ("$lt" if n else "$lte"): high})

    def whole(self, upper: datetime, oldest: datetime = OLDEST) -> Iterator[Row]:
        """The same in one window, which is quicker where there are few."""
        return self._through({"$gte": oldest, "$lte": upper})

    def _through(self, bounds: Mapping[str, datetime]) -> Iterator[Row]:
        self.held = 0
        rows = self.collection.find({**self.equality, self.by: bounds}, self.read)
        with rows.sort([(name, -1) for name in (self.by, *self.then)]).batch_size(self.batch) as found:
            for row in found:
                self.held += 1
                yield row
