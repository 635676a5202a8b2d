"""Managed keys: the operator's own, one a provider, and the targets that may be asked with them.

No job and no store holds a managed key: the worker takes it from its settings when it makes the call, and
only for the address that the settings give its provider.
"""

from __future__ import annotations

from pydantic import SecretStr

from core.config import Settings
from core.errors import Invalid
from core.llm import providers, tiers
from core.llm.records import PlannedTarget
from core.llm.types import KeyKind

MANAGED: KeyKind = "managed"


class BadManagedKeys(Exception):
    """A MANAGED_LLM_… setting names a provider that does not exist; the text says what to do."""


def check(settings: Settings) -> None:
    """Raises `BadManagedKeys` for settings that can never work, and `BadTiers`."""
    if (settings.managed_llm_key is None) != (settings.managed_llm_provider is None):
        raise BadManagedKeys("MANAGED_LLM_KEY and MANAGED_LLM_PROVIDER belong together: set both or neither")
    tiers.table()
    known = providers.vendors()
    for name, given in (("KEYS", keys(settings)), ("URLS", settings.managed_llm_urls)):
        for provider in given:
            if provider not in known:
                others = ", ".join(sorted(known))
                raise BadManagedKeys(f"MANAGED_LLM_{name}: no provider {provider!r}; known are {others}")


def keys(settings: Settings) -> dict[str, SecretStr]:
    """The managed keys, by provider."""
    found = dict(settings.managed_llm_keys)
    if settings.managed_llm_key is not None and settings.managed_llm_provider is not None:
        found.setdefault(settings.managed_llm_provider, settings.managed_llm_key)
    return found


def check_tier(tier: str | None, settings: Settings) -> None:
    """Raises `Invalid` for a tier that is not there, or whose provider has no managed key."""
    known = tiers.table().tiers
    if tier not in known:
        raise _wrong(f"a tier is needed: one of {', '.join(known)}", "unknown_tier")
    provider, _ = known[tier].chat()
    if provider not in keys(settings):
        raise _wrong(
            f"the tier {tier} is not to be had here: no managed key of {provider}", "tier_not_configured"
        )


def available(tier: str, settings: Settings) -> bool:
    """Is there a key for this tier's provider?"""
    return tiers.table().tiers[tier].chat()[0] in keys(settings)


def targets(tier: str | None, settings: Settings, *, runtime: bool = False) -> list[PlannedTarget]:
    """The tier's model, then the providers that follow it in its chain, as far as they have a managed key.

    `runtime`: the model for the agent's own process, not the one for chats.
    """
    known = tiers.table().tiers
    if tier is None or tier not in known:
        return []
    provider, model = known[tier].runtime() if runtime else known[tier].chat()
    asked = [(provider, model), *((name, tiers.default_model(name)) for name in tiers.followers(provider))]
    having = keys(settings)
    return [_target(name, its_model, tier, settings) for name, its_model in asked if name in having]


def key_for(target: PlannedTarget, settings: Settings) -> str | None:
    """The key for a managed target; None when it is no longer set, or is now for another address."""
    key = keys(settings).get(target["provider"])
    if key is None or target["base_url"] != address(target["provider"], settings):
        return None
    return key.get_secret_value()


def address(provider: str, settings: Settings) -> str:
    """Where managed calls of a provider go: the vendor's address, unless the operator named another."""
    given = settings.managed_llm_urls.get(provider)
    return given.rstrip("/") if given else providers.address(provider, None, settings)


def _target(provider: str, model: str, tier: str, settings: Settings) -> PlannedTarget:
    return {
        "provider": provider,
        "model": model,
        "wire": providers.row(provider).wire,
        "base_url": address(provider, settings),
        "key_kind": MANAGED,
        "tier": tier,
        "holder": MANAGED,
    }


def _wrong(detail: str, code: str) -> Invalid:
    return Invalid(detail, errors=[{"pointer": "/tier", "detail": detail}], code=code)
