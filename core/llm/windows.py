"""Context windows: how many tokens a model takes, from the public tables of `genai-prices` as installed."""

from __future__ import annotations

from functools import lru_cache

from genai_prices.data_snapshot import get_snapshot

from core.llm.providers import priced_as
from core.llm.types import KeyKind, Target

OWN_ADDRESSES: frozenset[KeyKind] = frozenset({"custom", "sandbox"})


def larger(target: Target, than: Target) -> bool:
    """Is this window surely the larger one? No, if one of the two is not known."""
    mine = window(target.key_kind, target.provider, target.model)
    other = window(than.key_kind, than.provider, than.model)
    return mine is not None and other is not None and mine > other


def window(key_kind: KeyKind, provider: str, model: str) -> int | None:
    """Tokens. None at a user's own address, where only the user knows what a model's name means."""
    return None if key_kind in OWN_ADDRESSES else known(provider, model)


@lru_cache(maxsize=1024)
def known(provider: str, model: str) -> int | None:
    """Tokens that a vendor's model takes; None for a model that no table knows."""
    try:
        _, found = get_snapshot().find_provider_model(model, None, priced_as(provider), None)
    except LookupError:
        return None
    return found.context_window
