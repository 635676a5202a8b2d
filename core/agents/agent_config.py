"""An agent's `llm_config`: which provider answers, with whose key. Keys are sealed here and never shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from core.agents import fields
from core.config import Settings
from core.crypto import Sealer, origin, provider_key_context
from core.documents import LlmConfig
from core.errors import Invalid, KeyRequired
from core.llm import plan, providers, tiers
from core.llm.plan import FindCredential

Document = dict[str, Any]

EMPTY: Any = {
    **fields.stored(fields.LLM_CONFIG, {}),
    "sealed_key": None,
    "key_hint": None,
    "keys": {},
}
SHORTEST_HINTED = 12


def configured(
    given: Mapping[str, Any],
    stored: LlmConfig | None,
    *,
    workspace_id: str,
    agent_id: str,
    sealer: Sealer,
    settings: Settings,
    find_credential: FindCredential,
) -> LlmConfig:
    """The configuration to store: `given` replaces what is `stored`, except the keys.

    `given` holds only what the request said. Without `api_key` the stored key stays while provider and origin
    stay the same: a key belongs to the address it was given for. `null` removes it. `keys` works likewise for
    each fallback provider. Raises `Invalid`, and `KeyRequired` when a key must be given.
    """
    old = stored or EMPTY
    new: Document = {**EMPTY, **fields.stored(fields.LLM_CONFIG, given)}
    own_key = given.get("api_key")
    keeps = "api_key" not in given and old["sealed_key"] is not None and not _keyless(new)
    given_keys: Mapping[str, str | None] = given.get("keys") or {}
    kept_keys = {} if given.get("keys", {}) is None else dict(old["keys"])

    _check_credential(new, own_key is not None, find_credential)
    has_key = {"sealed_key": keeps or own_key is not None, "keys": {**kept_keys, **given_keys}}
    plan.check({**new, **has_key}, settings)
    if new["managed"]:
        new |= {"provider": None, "model": None}
    if keeps:
        _same_address(old, new, settings)
        new |= {"sealed_key": old["sealed_key"], "key_hint": old["key_hint"]}

    def seal(key: str, provider: str, endpoint: str | None) -> str:
        context = provider_key_context(
            workspace_id=workspace_id,
            holder=f"agent:{agent_id}",
            provider=provider,
            base_url=providers.address(provider, endpoint, settings),
        )
        return sealer.seal(key, context)

    if own_key is not None:
        new["sealed_key"] = seal(own_key, new["provider"], new["custom_endpoint"])
        new["key_hint"] = hint(own_key)
    added = {
        provider: {"sealed": seal(key, provider, None), "hint": hint(key)}
        for provider, key in given_keys.items()
        if key is not None
    }
    kept = {provider: key for provider, key in kept_keys.items() if provider not in given_keys}
    return cast(LlmConfig, {**new, "keys": kept | added})


def public(config: LlmConfig | None) -> Document | None:
    """The configuration without its secrets."""
    if config is None:
        return None
    others = {provider: {"hasKey": True, "key_hint": key["hint"]} for provider, key in config["keys"].items()}
    own = {"hasKey": config["sealed_key"] is not None, "key_hint": config["key_hint"]}
    return {
        **fields.stored(fields.LLM_CONFIG, config),
        **_of_tier(config),
        **own,
        "keys": others,
    }


def _of_tier(config: LlmConfig) -> Document:
    """Provider and model of a managed tier. They are not stored: the tiers' table of today has them."""
    tier = tiers.table().tiers.get(config["tier"] or "") if config["managed"] else None
    if tier is None:
        return {}
    provider, model = tier.chat()
    return {"provider": provider, "model": model}


def hint(key: str) -> str:
    """The last four characters of a key. A short key has no hint: four characters would be much of it."""
    return key[-4:] if len(key) >= SHORTEST_HINTED else ""


def _keyless(config: Document) -> bool:
    """Does this configuration use no key of the agent's own?"""
    return bool(config["managed"] or config["credential"] or config["provider"] == "sandbox")


def _same_address(old: Mapping[str, Any], new: Document, settings: Settings) -> None:
    """Raises `KeyRequired` when the stored key would go to another address than it was given for."""

    def goes_to(config: Mapping[str, Any]) -> tuple[str, str]:
        address = providers.address(config["provider"], config["custom_endpoint"], settings)
        return config["provider"], origin(address)

    if goes_to(old) != goes_to(new):
        raise KeyRequired(
            "the stored key belongs to another provider or address; give `api_key`, or null to remove it",
            errors=[{"pointer": "/api_key", "detail": "needed, since the provider or its address changed"}],
        )


def _check_credential(new: Document, with_key: bool, find_credential: FindCredential) -> None:
    """Raises `Invalid` for a credential that is not there, or is a key for something else."""
    if new["credential"] is None:
        return
    if with_key:
        raise _wrong("credential", "give either `api_key` or `credential`")
    credential = find_credential(new["credential"])
    if credential is None:
        raise _wrong("credential", "there is no credential of this name")
    if credential["provider"] != new["provider"]:
        raise _wrong("credential", f"this credential is a key of {credential['provider']}")
    if new["custom_endpoint"] not in (None, credential["custom_endpoint"]):
        raise _wrong("custom_endpoint", "a credential brings its own address")
    plan.check_model(credential["custom_endpoint"], new["model"])


def _wrong(field: str, detail: str) -> Invalid:
    return Invalid(detail, errors=[{"pointer": f"/{field}", "detail": detail}])
