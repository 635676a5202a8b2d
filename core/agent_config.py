"""An agent's `llm_config`: which provider answers, with whose key. Keys are sealed here and never shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from core.config import Settings
from core.crypto import Sealer, origin, provider_key_context
from core.errors import Invalid, KeyRequired
from core.llm import plan, providers

Document = dict[str, Any]
FindCredential = Callable[[str], Document | None]

PLAIN = (
    "provider",
    "model",
    "custom_endpoint",
    "managed",
    "tier",
    "credential",
    "temperature",
    "max_tokens",
    "fallback",
    "allow_managed_fallback",
)
EMPTY: Document = {
    **dict.fromkeys(PLAIN),
    "managed": False,
    "allow_managed_fallback": False,
    "sealed_key": None,
    "key_hint": None,
    "keys": {},
}
SHORTEST_HINTED = 12


def configured(
    given: Mapping[str, Any],
    stored: Mapping[str, Any] | None,
    *,
    workspace_id: str,
    agent_id: str,
    sealer: Sealer,
    settings: Settings,
    find_credential: FindCredential,
) -> Document:
    """The configuration to store: `given` replaces everything that is `stored` but the keys.

    `given` holds only what the request said. An absent `api_key` keeps the stored one while provider and
    origin stay the same, since a key belongs to the address it was given for; `null` removes it. `keys`
    works the same for each fallback provider. Raises `Invalid`, and `KeyRequired` when a key must be given.
    """
    old = stored or EMPTY
    new: Document = {**EMPTY, **{name: given[name] for name in PLAIN if given.get(name) is not None}}
    holder = f"agent:{agent_id}"

    def seal(key: str, provider: str, address: str) -> str:
        context = provider_key_context(
            workspace_id=workspace_id, holder=holder, provider=provider, base_url=address
        )
        return sealer.seal(key, context)

    if given.get("api_key") is not None:
        address = _address(new, settings)
        new["sealed_key"] = seal(given["api_key"], new["provider"], address)
        new["key_hint"] = hint(given["api_key"])
    elif "api_key" not in given and old["sealed_key"] and not _keyless(new):
        _same_address(old, new, settings)
        new |= {"sealed_key": old["sealed_key"], "key_hint": old["key_hint"]}

    new["keys"] = {} if given.get("keys", {}) is None else dict(old["keys"])
    for provider, key in (given.get("keys") or {}).items():
        new["keys"].pop(provider, None)
        if key is not None:
            address = _address({"provider": provider, "custom_endpoint": None}, settings)
            new["keys"][provider] = {"sealed": seal(key, provider, address), "hint": hint(key)}

    _check_credential(new, given, find_credential)
    plan.check(new, settings)
    return new


def public(config: Mapping[str, Any] | None) -> Document | None:
    """The configuration without its secrets."""
    if config is None:
        return None
    others = {provider: {"hasKey": True, "key_hint": key["hint"]} for provider, key in config["keys"].items()}
    own = {"hasKey": config["sealed_key"] is not None, "key_hint": config["key_hint"]}
    return {**{name: config.get(name) for name in PLAIN}, **own, "keys": others}


def hint(key: str) -> str:
    """The last four characters, unless that would be a good part of the key."""
    return key[-4:] if len(key) >= SHORTEST_HINTED else ""


def _keyless(config: Document) -> bool:
    """Does this configuration use no key of the agent's own?"""
    return bool(config["managed"] or config["credential"] or config["provider"] == "sandbox")


def _same_address(old: Mapping[str, Any], new: Document, settings: Settings) -> None:
    same = old["provider"] == new["provider"] and origin(_address(old, settings)) == origin(
        _address(new, settings)
    )
    if not same:
        raise KeyRequired(
            "the stored key belongs to another provider or address; give `api_key`, or null to remove it",
            errors=[{"pointer": "/api_key", "detail": "needed, since the provider or its address changed"}],
        )


def _address(config: Mapping[str, Any], settings: Settings) -> str:
    """Where this configuration's key is sent."""
    return providers.address(config["provider"], config["custom_endpoint"], settings)


def _check_credential(new: Document, given: Mapping[str, Any], find_credential: FindCredential) -> None:
    name = new["credential"]
    if name is None:
        return
    if given.get("api_key") is not None:
        detail = "give either `api_key` or `credential`"
        raise Invalid(detail, errors=[{"pointer": "/credential", "detail": detail}])
    credential = find_credential(name)
    if credential is None:
        detail = "there is no credential of this name"
        raise Invalid(detail, errors=[{"pointer": "/credential", "detail": detail}])
    if credential["provider"] != new["provider"]:
        detail = f"this credential is a key of {credential['provider']}"
        raise Invalid(detail, errors=[{"pointer": "/credential", "detail": detail}])
