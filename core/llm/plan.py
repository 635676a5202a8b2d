"""The plan: the ordered targets of a chat, from an agent's llm_config. A key is taken when it is called.

A user's key goes to its own provider and address only. A provider without a key is skipped. A managed call
uses managed keys alone; they also follow a user's own keys if the agent says `allow_managed_fallback`. The
sandbox is asked by name only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from core.config import Settings
from core.documents import Credential, LlmConfig
from core.errors import Invalid, KeyRequired
from core.llm import managed, providers, tiers
from core.llm.keyring import Keyring
from core.llm.providers import SANDBOX
from core.llm.records import PlannedTarget
from core.llm.types import KeyKind, Target, WireName
from core.outbound.guard import Guard

Document = dict[str, Any]
FindCredential = Callable[[str], Credential | None]

NOT_WITH_MANAGED = ("sealed_key", "credential", "custom_endpoint", "fallback", "wire")
WIRE_NAMES: dict[str, WireName] = {"chat": "openai", "responses": "responses"}
"""An agent's `wire`, by the name that its user gives it."""


def check(config: Mapping[str, Any], settings: Settings) -> None:
    """Raises `Invalid` or `KeyRequired` for a configuration that can never work."""
    if config["managed"] or config["allow_managed_fallback"] or config["tier"] is not None:
        managed.check_tier(config["tier"], settings)
    if config["managed"]:
        _check_managed(config)
        return
    providers.row(config["provider"])
    if config.get("wire") and config["provider"] != "openai":
        raise Invalid("only `openai` has two wires", errors=[_at("/wire", "not for this provider")])
    if config["custom_endpoint"]:
        if config["provider"] == SANDBOX:
            raise Invalid("the sandbox has no custom endpoint", errors=[_at("/custom_endpoint", "not here")])
        Guard(settings.custom_endpoint_allow).check_url(config["custom_endpoint"])
        providers.check_endpoint(config["provider"], config["custom_endpoint"])
    check_model(config["custom_endpoint"], config["model"])
    for n, entry in enumerate(config["fallback"] or []):
        if entry["provider"] not in providers.vendors():
            detail = f"{entry['provider']} cannot be a fallback"
            raise Invalid(detail, errors=[_at(f"/fallback/{n}/provider", detail)])
    for provider in config["keys"]:
        if provider not in providers.vendors():
            detail = f"there is no provider {provider}"
            raise Invalid(detail, errors=[_at(f"/keys/{provider}", detail)])
    own_address = config["custom_endpoint"] and providers.vendor_at(config["custom_endpoint"]) is None
    has_key = config["sealed_key"] or config["credential"] or own_address
    if not has_key and config["provider"] != SANDBOX:
        raise KeyRequired(
            "give `api_key`, `credential`, `custom_endpoint`, `managed: true`, or provider `sandbox`",
            errors=[_at("/api_key", "a key is needed for this provider")],
        )


def check_model(custom_endpoint: str | None, model: str | None) -> None:
    """Raises `Invalid` for an endpoint of a user's own without a model: no default can be known there."""
    if custom_endpoint and providers.vendor_at(custom_endpoint) is None and not model:
        detail = "a custom endpoint needs a `model`: name one that it has"
        raise Invalid(detail, errors=[_at("/model", detail)])


def make(
    agent_id: str,
    config: LlmConfig,
    *,
    settings: Settings,
    find_credential: FindCredential,
    runtime: bool = False,
) -> list[PlannedTarget]:
    """The targets in the order in which they are asked, for a job's plan.

    `runtime`: for the agent's own process, for which a managed tier has another model.
    """
    holder = f"agent:{agent_id}"
    if config["managed"]:
        return _of_tier(config["tier"], settings, runtime=runtime)
    provider = config["provider"]
    assert provider is not None  # `check` has seen to it
    found = [_own(provider, config, holder, settings, find_credential)]
    if provider == SANDBOX:
        return found
    for entry in _fallbacks(provider, config):
        key = config["keys"].get(entry["provider"])
        if key is not None:
            found.append(_target(entry["provider"], entry.get("model"), None, holder, settings, keyed=True))
    if config["allow_managed_fallback"]:
        found += managed.targets(config["tier"], settings, runtime=runtime)
    return found


def targets(planned: list[PlannedTarget], keyring: Keyring) -> list[Target]:
    """The targets of a job; each takes its key from the keyring when it is called.

    Raises `KeyRequired` when nobody is left to be asked: a managed key that is gone since is left out.
    """
    found = []
    for n, target in enumerate(planned):
        if target["key_kind"] == managed.MANAGED and managed.key_for(target, keyring.settings) is None:
            continue
        found.append(_taking(target, partial(keyring.key, target, first=n == 0)))
    if not found and planned:
        raise KeyRequired("the managed key that this call was accepted for is no longer configured")
    if not found:
        raise KeyRequired("this call was accepted without a provider to ask")
    return found


def _check_managed(config: Mapping[str, Any]) -> None:
    """Raises `Invalid` for a field whose value comes from the tier."""
    provider, model = tiers.table().tiers[config["tier"]].chat()
    for field, own in (("provider", provider), ("model", model)):
        if config[field] not in (None, own):
            raise Invalid(
                f"a managed tier brings its own {field}",
                errors=[_at(f"/{field}", f"leave it out: the tier's is {own}")],
            )
    for field in NOT_WITH_MANAGED:
        if config.get(field):
            name = "api_key" if field == "sealed_key" else field
            raise Invalid(f"a managed tier takes no `{name}`", errors=[_at(f"/{name}", "not with `managed`")])


def _of_tier(tier: str | None, settings: Settings, *, runtime: bool) -> list[PlannedTarget]:
    """Raises `Invalid` for a tier that is gone, or has lost its managed key, since the agent chose it."""
    found = managed.targets(tier, settings, runtime=runtime)
    if not found:
        managed.check_tier(tier, settings)
    return found


def _own(
    provider: str, config: LlmConfig, holder: str, settings: Settings, find_credential: FindCredential
) -> PlannedTarget:
    endpoint, keyed = config["custom_endpoint"], config["sealed_key"] is not None
    if config["credential"]:
        credential = find_credential(config["credential"])
        if credential is None:
            raise KeyRequired(f"the credential {config['credential']!r} that this agent uses is gone")
        endpoint, keyed = credential["custom_endpoint"], True
        check_model(endpoint, config["model"])
        holder = f"credential:{credential['name']}"
    target = _target(provider, config["model"], endpoint, holder, settings, keyed=keyed)
    if wire := config.get("wire"):
        target |= {"wire": WIRE_NAMES[wire], "wire_given": True}
    return target


def _fallbacks(provider: str, config: LlmConfig) -> list[Document]:
    """The agent's own list, or the default chain after its provider."""
    if config["fallback"] is not None:
        return list(config["fallback"])
    return [{"provider": name, "model": None} for name in tiers.followers(provider)]


def _target(
    provider: str,
    model: str | None,
    endpoint: str | None,
    holder: str,
    settings: Settings,
    *,
    keyed: bool,
) -> PlannedTarget:
    custom = endpoint and providers.vendor_at(endpoint) is None
    kind: KeyKind = "custom" if custom else "sandbox" if provider == SANDBOX else "byokey"
    return {
        "provider": provider,
        "model": model or tiers.default_model(provider),
        "wire": providers.row(provider).wire,
        "base_url": providers.address(provider, endpoint, settings),
        "key_kind": kind,
        "tier": None,
        "holder": holder,
        "keyed": keyed,
    }


def _taking(target: PlannedTarget, take: Callable[[], str | None]) -> Target:
    return Target(
        provider=target["provider"],
        model=target["model"],
        wire=target["wire"],
        base_url=target["base_url"],
        api_key=None,
        key_kind=target["key_kind"],
        tier=target["tier"],
        wire_given=target.get("wire_given", False),
        take=take,
    )


def _at(pointer: str, detail: str) -> dict[str, str]:
    return {"pointer": pointer, "detail": detail}
