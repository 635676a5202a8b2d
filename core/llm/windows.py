"""Context windows: how many tokens a model takes, by its provider's row or the tables of `genai-prices`."""

from __future__ import annotations

from functools import lru_cache

from genai_prices.data_snapshot import get_snapshot

from core.llm.providers import PROVIDERS, priced_as
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


def known(provider: str, model: str) -> int | None:
    """Tokens that a vendor's model takes; None for a model that nobody has told us about."""
    ours = PROVIDERS[provider].windows if provider in PROVIDERS else {}
    return ours.get(model) or _by_tables(priced_as(provider), model)


@lru_cache(maxsize=1024)
def _by_tables(provider_id: str, model: str) -> int | None:
    try:
        _, found = get_snapshot().find_provider_model(model, None, provider_id, None)
    except LookupError:
        return None
    return found.context_window
