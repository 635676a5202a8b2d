"""Reading the history: a workspace's points without gaps, and sums of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any, cast

from pymongo.collection import Collection
from pymongo.database import Database

from core import sketch
from core.clock import utcnow
from core.history import points
from core.history.batches import MINUTE
from core.history.documents import Point, ProviderPoint, QueuePoint
from core.history.rollups import HOUR

Document = dict[str, Any]


class History:
    """What is known of a workspace at one moment, `now`; what several ask for is read once.

    `only`: the fields of a point that are read; empty: all.
    """

    def __init__(
        self,
        db: Database[Document],
        workspace_id: str,
        *,
        now: datetime | None = None,
        only: Sequence[str] = (),
    ) -> None:
        self.db, self.workspace_id, self.now = db, workspace_id, now or utcnow()
        self._only = only
        self._hours: dict[int, list[Point]] = {}
        self._present = self.now.replace(minute=0, second=0, microsecond=0)

    def minutes(self) -> list[Point]:
        """The last 60 whole minutes, oldest first; one in which nothing happened has its time alone."""
        until = self.now.replace(second=0, microsecond=0)
        return [cast(Point, self._recent.get(at, {"at": at})) for at in _times(until - HOUR, until, MINUTE)]

    def hours(self, days: int = 1) -> list[Point]:
        """The last hours, oldest first; the present one and that before it, which may not be rolled up yet,
        from their minutes."""
        if days not in self._hours:
            self._hours[days] = self._read_hours(days)
        return self._hours[days]

    def _read_hours(self, days: int) -> list[Point]:
        since, late = self._present - timedelta(days=days) + HOUR, self._present - HOUR
        found = self._read(self.db.history_hours, since, late)
        for at in (late, self._present):
            of_hour = [cast(Point, point) for t, point in self._recent.items() if at <= t < at + HOUR]
            found[at] = dict(points.merged(at, of_hour))
        return [cast(Point, found.get(at, {"at": at})) for at in _times(since, self._present + HOUR, HOUR)]

    @cached_property
    def _recent(self) -> dict[datetime, Document]:
        """The minutes of the present hour and of that before it, in which the last 60 are."""
        return self._read(self.db.history_minutes, self._present - HOUR, self.now)

    def _read(
        self, collection: Collection[Document], since: datetime, until: datetime
    ) -> dict[datetime, Document]:
        return _read(collection, {"workspace_id": self.workspace_id}, since, until, self._only)


def providers(
    db: Database[Document], workspace_id: str, *, days: int, now: datetime | None = None
) -> tuple[dict[date, dict[str, ProviderPoint]], dict[str, ProviderPoint]]:
    """Each provider's calls on the last days of UTC, the oldest first; and on all of them together."""
    now = now or utcnow()
    dates = [now.date() - timedelta(days=ago) for ago in reversed(range(days))]
    of_date: dict[date, list[Point]] = {at: [] for at in dates}
    for point in History(db, workspace_id, now=now, only=("providers",)).hours(days):
        of_date.get(point["at"].date(), []).append(point)
    merged = {at: points.merged(now, read) for at, read in of_date.items()}
    whole = points.merged(now, list(merged.values()))
    return {at: _by_name(point) for at, point in merged.items()}, _by_name(whole)


def _by_name(point: Point) -> dict[str, ProviderPoint]:
    return {one["name"]: one for one in point["providers"]}


def queue(
    db: Database[Document], name: str, *, span: timedelta = HOUR, now: datetime | None = None
) -> list[QueuePoint]:
    """The last whole minutes of a queue, of all workspaces, oldest first."""
    until = (now or utcnow()).replace(second=0, microsecond=0)
    found = _read(db.history_queues, {"queue": name}, until - span, until)
    empty: Document = {"queue": name}
    return [
        cast(QueuePoint, found.get(at, {**empty, "at": at})) for at in _times(until - span, until, MINUTE)
    ]


def summary(read: Sequence[Point]) -> Document:
    """What a stretch of points says as a whole: a point, the quantiles of its sketches, and `success_rate`.

    `p50_ms`, `p95_ms`, `first_token_p95_ms` and `success_rate` (0 to 1, cancelled jobs aside) are None where
    nothing was measured.
    """
    whole = points.merged(read[0]["at"], read)
    judged = whole["succeeded"] + whole["failed"]
    return {
        **whole,
        **quantiles(whole),
        "success_rate": whole["succeeded"] / judged if judged else None,
    }


def quantiles(of: Mapping[str, Any]) -> Document:
    """The durations of a point, or of a provider's part of one, in milliseconds; None: not measured."""
    latency, first = of.get("latency", {}), of.get("first_token", {})
    return {
        "p50_ms": _ms(latency, 0.5),
        "p95_ms": _ms(latency, 0.95),
        "first_token_p95_ms": _ms(first, 0.95),
    }


def _ms(durations: Mapping[str, int], share: float) -> int | None:
    found = sketch.quantile(durations, share)
    return None if found is None else round(found)


def _read(
    collection: Collection[Document],
    of: Mapping[str, str],
    since: datetime,
    until: datetime,
    only: Sequence[str] = (),
) -> dict[datetime, Document]:
    within = {**of, "at": {"$gte": since, "$lt": until}}
    shown = {"_id": 0, "at": 1, **dict.fromkeys(only, 1)} if only else None
    return {point["at"]: point for point in collection.find(within, shown).sort("at", 1)}


def _times(since: datetime, until: datetime, step: timedelta) -> list[datetime]:
    return [since + step * n for n in range((until - since) // step)]
