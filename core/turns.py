"""Turns: which of the deliveries that wait is carried out next. Each workspace has its share of the places.

As `core.jobs.lanes` does for jobs: whoever has fewest under way is next, and takes a place only while it has
fewer than `SHARE` times the free ones. Here all of it is remembered by the one process that carries out.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from typing import Any

from core.deliveries import Delivery
from core.jobs.lanes import SHARE

EACH = 2000
"""So many of a workspace are remembered. The rest waits in the store, where it is read again later."""

Origins = OrderedDict[str, deque[Delivery]]


class Turns:
    """`places` in all, `each_origin` of them for one origin of a workspace. Not safe among threads."""

    def __init__(self, places: int, each_origin: int) -> None:
        self.free = places
        self.each_origin = each_origin
        self._waiting: OrderedDict[str, Origins] = OrderedDict()
        self._known: dict[str, str] = {}
        self._of_workspace: Counter[str] = Counter()
        self._of_origin: Counter[tuple[str, str]] = Counter()
        self._remembered: Counter[str] = Counter()

    def add(self, delivery: Delivery) -> None:
        """Remember one that waits; one that is known already stays where it is."""
        whose, where = delivery["workspace_id"], delivery["origin"]
        if delivery["_id"] in self._known or self._remembered[whose] >= EACH:
            return
        self._known[delivery["_id"]] = whose
        self._remembered[whose] += 1
        self._waiting.setdefault(whose, OrderedDict()).setdefault(where, deque()).append(delivery)

    def next(self) -> Delivery | None:
        """Give a place to the next one. None: no place is free for any that waits."""
        found = min(self._startable(), key=lambda pair: self._of_workspace[pair[0]], default=None)
        if found is None:
            return None
        whose, where = found
        delivery = self._waiting[whose][where].popleft()
        self._waiting[whose].move_to_end(where)
        self._waiting.move_to_end(whose)
        if not self._waiting[whose][where]:
            del self._waiting[whose][where]
        if not self._waiting[whose]:
            del self._waiting[whose]
        self._count(delivery, 1)
        return delivery

    def over(self, delivery: Delivery) -> None:
        """Its place is free, and it is forgotten: if it is due again, it will be read again."""
        self._count(delivery, -1)
        _add(self._remembered, self._known.pop(delivery["_id"]), -1)

    def _startable(self) -> Iterator[tuple[str, str]]:
        """The workspaces that may take a place, by turn, each with the origin whose turn it is."""
        for whose, origins in self._waiting.items():
            if self._of_workspace[whose] < SHARE * self.free:
                where = next((o for o in origins if self._of_origin[whose, o] < self.each_origin), None)
                if where is not None:
                    yield whose, where

    def _count(self, delivery: Delivery, n: int) -> None:
        self.free -= n
        whose, where = delivery["workspace_id"], delivery["origin"]
        _add(self._of_workspace, whose, n)
        _add(self._of_origin, (whose, where), n)


def _add(counted: Counter[Any], name: Any, n: int) -> None:
    """Count, and forget who has none: there is no end of origins."""
    counted[name] += n
    if not counted[name]:
        del counted[name]
