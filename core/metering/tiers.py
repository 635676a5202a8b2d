"""Tiers as metering needs them: what a month of each allows, and what it costs.

The mission's table, until `core.llm.tiers` brings it with everything else that belongs to a tier.
"""

from __future__ import annotations

from typing import Any

TABLE: dict[str, dict[str, Any]] = {
    "economy": {"chat_model": "MiniMax-M2.5", "monthly_tokens": 2_000_000, "price_usd": 5},
    "standard": {"chat_model": "gpt-4o-mini", "monthly_tokens": 5_000_000, "price_usd": 10},
    "premium": {"chat_model": "gpt-4o", "monthly_tokens": 10_000_000, "price_usd": 20},
}


def prices_usd() -> dict[str, Any]:
    """USD a month, by tier."""
    return {name: row["price_usd"] for name, row in TABLE.items()}


def monthly_tokens() -> dict[str, int]:
    """Tokens a month, by tier."""
    return {name: row["monthly_tokens"] for name, row in TABLE.items()}
