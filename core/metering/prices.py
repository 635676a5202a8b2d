"""Prices: what a call cost. What is not known is `unknown` and None, never a guess and never zero.

Asked in this order: the workspace's own prices (collection `workspace_prices`), ours in `prices.json` for
what the public tables lack, the public tables of `genai-prices` as installed: its download stays off.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

import genai_prices
from bson.decimal128 import Decimal128
from pymongo.database import Database

from core.llm.providers import priced_as
from core.llm.types import KeyKind
from core.metering.row import CostStatus

Document = dict[str, Any]

OURS = Path(__file__).with_name("prices.json")
TABLES = "genai-prices"
FREE: frozenset[KeyKind] = frozenset({"custom", "sandbox"})
MILLION = 1_000_000
TIERS = frozenset({"priority", "flex", "scale", "batch"})
"""A vendor's service tiers with prices of their own: in tables they stand as `model@tier`."""
RATES = ("input", "output", "cache_read", "cache_write")


@dataclass(frozen=True)
class Price:
    """`cost` in USD, exact; None when `status` is `unknown`. `status`: known, estimated, unknown, free.

    `model`: the id that the price table matched. `source`, `version`: which table.
    """

    cost: Decimal | None
    status: CostStatus
    model: str | None = None
    source: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class Rate:
    """USD per million tokens. Cached tokens cost as much as others where nothing else is said."""

    model: str
    input: Decimal
    output: Decimal
    cache_read: Decimal
    cache_write: Decimal
    source: str
    version: str


Table = Mapping[tuple[str, str], Rate]
"""By provider and model in small letters."""

UNKNOWN = Price(None, "unknown")
NOTHING: Table = {}


class Prices:
    """All price tables of this installation."""

    def __init__(self, ours: Path = OURS) -> None:
        self.version = version(TABLES)
        file = json.loads(ours.read_text())
        self.ours = table(file["prices"], source="prices.json", version=file["version"])

    def of(self, call: Mapping[str, Any], own: Table = NOTHING) -> Price:
        """The price of a call that used tokens; never raises for what a provider may have reported.

        `own`: the prices of the call's workspace.
        """
        if call["key_kind"] in FREE and not (call["key_kind"] == "custom" and self.of_workspaces(call, own)):
            return Price(Decimal(0), "free")
        if call["usage"]["tokens_input"] == call["usage"]["tokens_output"] == 0:
            return Price(Decimal(0), "known")
        rate = own.get(_named(call)) or self.ours.get(_named(call))
        usage = _with_hours(call)
        if rate:
            price = _by_rate(rate, usage)
        else:
            price = self._by_tables(call, usage) if tier(call) is None else UNKNOWN
        if price.status == "known" and call.get("usage_status") == "estimated":
            return Price(price.cost, "estimated", price.model, price.source, price.version)
        return price

    def of_workspaces(self, call: Mapping[str, Any], own: Table) -> bool:
        """Has the call's workspace given a price for its model, at whichever service tier?"""
        model = call["provider"], call["model"].lower()
        return model in own or _named(call) in own

    def _by_tables(self, call: Mapping[str, Any], usage: Mapping[str, Any]) -> Price:
        try:
            found = genai_prices.calc_price(
                genai_prices.Usage(
                    input_tokens=usage["tokens_input"],
                    output_tokens=usage["tokens_output"],
                    cache_read_tokens=usage.get("tokens_cached") or None,
                    cache_write_tokens=usage.get("tokens_cache_write") or None,
                ),
                call["model"],
                provider_id=priced_as(call["provider"]),
                genai_request_timestamp=call.get("started_at"),
            )
        except (LookupError, ValueError):
            return UNKNOWN
        return Price(found.total_price, "known", found.model.id, TABLES, self.version)


def total(prices: Iterable[Price]) -> tuple[Decimal | None, CostStatus]:
    """The cost of several calls together, and its status: the least certain of theirs."""
    listed = list(prices)
    found = {price.status for price in listed}
    if not listed or "unknown" in found:
        return None, "unknown"
    status = next(status for status in ("estimated", "known", "free") if status in found)
    return sum((price.cost or Decimal(0) for price in listed), Decimal(0)), status


def of_workspace(db: Database[Document], workspace_id: str) -> Table:
    """A workspace's own prices."""
    found = db.workspace_prices.find({"workspace_id": workspace_id})
    return table(found, source="workspace", version="")


def set_for_workspace(
    db: Database[Document],
    workspace_id: str,
    provider: str,
    model: str,
    rates: Mapping[str, Decimal],
    at: str,
) -> None:
    """Set a workspace's own price of a model. `rates`, some of `RATES`: USD per million tokens.

    It holds for calls that are entered from now on; `reprice` applies it to earlier ones.
    """
    exact = {name: Decimal128(rate) for name, rate in rates.items()}
    document = {"workspace_id": workspace_id, "provider": provider, "model": model, "date": at, **exact}
    db.workspace_prices.replace_one({"_id": _id(workspace_id, provider, model)}, document, upsert=True)


def unset_for_workspace(db: Database[Document], workspace_id: str, provider: str, model: str) -> None:
    """Remove a workspace's own price of a model."""
    db.workspace_prices.delete_one({"_id": _id(workspace_id, provider, model)})


def table(rows: Iterable[Mapping[str, Any]], *, source: str, version: str) -> Table:
    """Rows with provider, model, input, output and, where they differ, cache_read and cache_write."""
    return {(row["provider"], row["model"].lower()): _rate(row, source, version) for row in rows}


def tier(call: Mapping[str, Any]) -> str | None:
    """The service tier with a price of its own at which a call was carried out, as its provider told it."""
    told = (call.get("usage_raw") or {}).get("service_tier")
    return told if isinstance(told, str) and told in TIERS else None


def _named(call: Mapping[str, Any]) -> tuple[str, str]:
    at = tier(call)
    return call["provider"], call["model"].lower() + (f"@{at}" if at else "")


def _rate(row: Mapping[str, Any], source: str, version: str) -> Rate:
    asked = _decimal(row["input"])
    return Rate(
        model=row["model"],
        input=asked,
        output=_decimal(row["output"]),
        cache_read=_decimal(row.get("cache_read", asked)),
        cache_write=_decimal(row.get("cache_write", asked)),
        source=source,
        version=version or row["date"],
    )


def _id(workspace_id: str, provider: str, model: str) -> str:
    return f"{workspace_id}/{provider}/{model.lower()}"


def _decimal(value: Any) -> Decimal:
    return value.to_decimal() if isinstance(value, Decimal128) else Decimal(value)


def _with_hours(call: Mapping[str, Any]) -> Mapping[str, Any]:
    """The usage, with what Anthropic wrote to the cache for an hour as if it had been read twice.

    That is its price; a write for five minutes has one of its own
    (https://platform.claude.com/docs/en/build-with-claude/prompt-caching, read 2026-11).
    """
    usage: Mapping[str, Any] = call["usage"]
    made = (call.get("usage_raw") or {}).get("cache_creation")
    hour = made.get("ephemeral_1h_input_tokens") if isinstance(made, dict) else None
    written = usage.get("tokens_cache_write") or 0
    if not isinstance(hour, int) or isinstance(hour, bool) or not 0 < hour <= written:
        return usage
    return {**usage, "tokens_input": usage["tokens_input"] + hour, "tokens_cache_write": written - hour}


def _by_rate(rate: Rate, usage: Mapping[str, Any]) -> Price:
    read, written = usage.get("tokens_cached") or 0, usage.get("tokens_cache_write") or 0
    plain, said = usage["tokens_input"] - read - written, usage["tokens_output"]
    if min(plain, read, written, said) < 0:
        return UNKNOWN
    cost = rate.input * plain + rate.cache_read * read + rate.cache_write * written + rate.output * said
    return Price(cost / MILLION, "known", rate.model, rate.source, rate.version)
