"""Quotes: what a finished job cost, shown in its own result. The ledger has the last word."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from pymongo.database import Database

from core.llm.records import Call
from core.metering import prices as price_tables
from core.metering.prices import NOTHING, UNKNOWN, Prices, Table

Document = dict[str, Any]

CACHED_S = 2.0

log = structlog.get_logger(__name__)


class Quotes:
    """A workspace's own prices are read again after `CACHED_S`: a chat does not pay for a read of its own."""

    def __init__(
        self, db: Database[Document], prices: Prices, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.db = db
        self.prices = prices
        self.monotonic = monotonic
        self._cached: dict[str, tuple[float, Table]] = {}

    def cost(self, workspace_id: str, calls: Iterable[Call]) -> Document:
        """`cost` and `cost_status` of all calls whose tokens are known; unknown, rather than a failed job."""
        try:
            own = self._own(workspace_id)
            counted = [call for call in calls if call.get("usage") is not None]
            found, status = price_tables.total(self.prices.of(call, own) for call in counted)
        except Exception:
            log.exception("prices.no_quote", workspace_id=workspace_id)
            found, status = None, UNKNOWN.status
        return {"cost": None if found is None else float(found), "cost_status": status}

    def _own(self, workspace_id: str) -> Table:
        now = self.monotonic()
        read_at, own = self._cached.get(workspace_id, (-CACHED_S, NOTHING))
        if now - read_at >= CACHED_S:
            own = price_tables.of_workspace(self.db, workspace_id)
            self._cached[workspace_id] = (now, own)
        return own
