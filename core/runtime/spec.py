"""The spec: what an agent's process is started with, made of the agent as it is now. No key is in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.config import Settings
from core.crypto import Sealer
from core.errors import JobFailed
from core.llm import plan as routes
from core.llm import windows
from core.llm.keyring import Keyring
from core.llm.plan import FindCredential
from core.llm.records import PlannedTarget
from core.runtime import openclaw
from core.runtime.documents import Spec

Document = dict[str, Any]
Talk = tuple[dict[str, Any], list[str], list[Document]]
"""OpenClaw's providers, the models that are asked in this order, and which key each variable holds."""

LONGEST_ANSWER = 8192
"""Tokens that it asks for at most; a budget reserves as much for each call."""
NO_KEY = "none"
"""What a provider that takes no key is sent: OpenClaw wants one."""
OWN_ADDRESSES = {
    # Where OpenClaw's own formats differ from ours; both measured with openclaw@2026.9.6, 2026-11.
    "https://api.anthropic.com/v1": ("https://api.anthropic.com", "anthropic-messages"),
    "https://api.minimax.io/v1": ("https://api.minimax.io/anthropic", "anthropic-messages"),
}
OF_THE_MODEL = ("provider", "model", "custom_endpoint", "credential", "managed", "tier", "fallback")
WIRES = {"openai": "openai-completions", "anthropic": "anthropic-messages"}


def of(agent: Mapping[str, Any], settings: Settings, find_credential: FindCredential) -> Spec:
    """What a process of this agent would be started with now. Raises `Invalid`, `KeyRequired`."""
    targets = _targets(agent, settings, find_credential)
    talks_to = _vendors if settings.runtime_direct else _door
    providers, models, keys = talks_to(agent, targets, settings)
    return {
        "made_of": made_of(agent, direct=settings.runtime_direct),
        "name": agent["name"],
        "system_prompt": agent["system_prompt"],
        "tools": list(agent["tools"]),
        "models": models,
        "providers": providers,
        "keys": keys,
        "program": str(program(settings)),
    }


def made_of(agent: Mapping[str, Any], *, direct: bool) -> str:
    """A mark of all that a process gets of its agent: the same while a restart would change nothing.

    In direct mode keys belong to it. Nothing of a host's settings does: hosts differ.
    """
    config: Mapping[str, Any] = agent["llm_config"] or {}
    hints = [config.get("key_hint"), {name: key["hint"] for name, key in (config.get("keys") or {}).items()}]
    said = [
        [agent[name] for name in ("name", "system_prompt", "tools")],
        [config.get(name) for name in OF_THE_MODEL],
        hints if direct else None,
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def provider_keys(
    spec: Spec,
    agent: Mapping[str, Any],
    *,
    sealer: Sealer,
    settings: Settings,
    find_credential: FindCredential,
) -> dict[str, str]:
    """Direct mode: the variables that hold providers' keys, opened from what the agent has now.

    Raises `JobFailed` where it has no key any more for what the spec talks to.
    """
    if not spec["keys"]:
        return {}
    planned = _targets(agent, settings, find_credential)
    keyring = Keyring(
        agent["workspace_id"],
        agent["_id"],
        lambda: agent["llm_config"],
        find_credential,
        sealer,
        settings,
    )
    having = {
        (target.provider, target.base_url): target.with_key().api_key or NO_KEY
        for target in routes.targets(planned, keyring)
    }
    secrets = {}
    for key in spec["keys"]:
        where = key["provider"], key["base_url"]
        if where not in having:
            raise JobFailed(f"the key for {key['provider']} is gone: restart the agent", code="key_required")
        secrets[key["variable"]] = having[where]
    return secrets


def program(settings: Settings) -> Path:
    """The agents' program, whether it is there or not."""
    return (settings.openclaw_path or openclaw.installed_in(settings.data_dir)).absolute()


def door_url(settings: Settings) -> str:
    """Where processes of this host find our own door."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "[::]": "[::1]"}.get(settings.host, settings.host)
    return (settings.runtime_door_url or f"http://{host}:{settings.port}/v1").rstrip("/")


def _targets(
    agent: Mapping[str, Any], settings: Settings, find_credential: FindCredential
) -> list[PlannedTarget]:
    config = agent["llm_config"]
    return routes.make(agent["_id"], config, settings=settings, find_credential=find_credential, runtime=True)


def _door(agent: Mapping[str, Any], targets: list[PlannedTarget], settings: Settings) -> Talk:
    """Our own door is the only provider; the agent is its only model, and the door knows the rest."""
    name = f"{targets[0]['provider']}/{targets[0]['model']}"
    models = [_model(agent["_id"], name, targets[0], settings)]
    door = _provider(door_url(settings), "openai-completions", openclaw.DOOR_KEY, models)
    return {openclaw.DOOR: door}, [f"{openclaw.DOOR}/{agent['_id']}"], []


def _vendors(agent: Mapping[str, Any], targets: list[PlannedTarget], settings: Settings) -> Talk:
    providers, models, keys = {}, [], []
    for n, target in enumerate(targets):
        name, model = f"{target['provider']}{n or ''}", target["model"]
        variable = f"{name.upper()}_API_KEY"
        address, wire = OWN_ADDRESSES.get(target["base_url"], (target["base_url"], WIRES[target["wire"]]))
        providers[name] = _provider(address, wire, variable, [_model(model, model, target, settings)])
        models.append(f"{name}/{model}")
        where = {"provider": target["provider"], "base_url": target["base_url"]}
        keys.append({"variable": variable, **where, "hint": _hint(agent, target)})
    return providers, models, keys


def _provider(address: str, wire: str, variable: str, models: list[Document]) -> Document:
    return {"baseUrl": address, "apiKey": f"${{{variable}}}", "api": wire, "models": models}


def _model(model: str, name: str, target: PlannedTarget, settings: Settings) -> Document:
    known = target["key_kind"] not in windows.OWN_ADDRESSES
    window = windows.known(target["provider"], target["model"]) if known else None
    window = window or settings.unknown_window_tokens
    return {"id": model, "name": name, "contextWindow": window, "maxTokens": min(LONGEST_ANSWER, window // 4)}


def _hint(agent: Mapping[str, Any], target: PlannedTarget) -> str | None:
    """Tells one key from the next, so that a new key is a change of what the process was started with."""
    config = agent["llm_config"]
    other = config["keys"].get(target["provider"])
    hint: str | None = (
        config["key_hint"] if target["provider"] == config["provider"] else other and other["hint"]
    )
    return hint
