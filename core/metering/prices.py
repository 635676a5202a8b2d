"""Prices: what a call cost, by the public price tables; what is not known is `unknown`, never a guess.

The tables are those of `genai-prices` as installed: its automatic download is never switched on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from importlib.metadata import version
from typing import Any

import genai_prices

Document = dict[str, Any]

SOURCE = "genai-prices"
FREE = frozenset({"custom", "sandbox"})


@dataclass(frozen=True)
class Price:
    """`cost` in USD, exact; None when `status` is `unknown`. `status`: known, estimated, unknown, free.

    `model`: the id that the price table matched. `source`, `version`: which table.
    """

    cost: Decimal | None
    status: str
    model: str | None = None
    source: str | None = None
    version: str | None = None


UNKNOWN = Price(None, "unknown")


class Prices:
    """The price tables of this installation."""

    def __init__(self) -> None:
        self.version = version(SOURCE)

    def of(self, call: Mapping[str, Any], workspace_id: str) -> Price:
        """The price of a call that used tokens; never raises for what a provider may have reported."""
        if call["key_kind"] in FREE:
            return Price(Decimal(0), "free")
        usage = call["usage"]
        try:
            found = genai_prices.calc_price(
                genai_prices.Usage(
                    input_tokens=usage["tokens_input"],
                    output_tokens=usage["tokens_output"],
                    cache_read_tokens=usage.get("tokens_cached") or None,
                    cache_write_tokens=usage.get("tokens_cache_write") or None,
                ),
                call["model"],
                provider_id=call["provider"],
                genai_request_timestamp=_at(call),
            )
        except (LookupError, ValueError):
            return UNKNOWN
        status = "estimated" if call.get("usage_status") == "estimated" else "known"
        return Price(found.total_price, status, found.model.id, SOURCE, self.version)


def _at(call: Mapping[str, Any]) -> datetime | None:
    return call.get("started_at")
