"""The providers of the drop-down: vendors, managed tiers, the sandbox; one text each, and what it says."""

from __future__ import annotations

from typing import Any

from core.agents import credentials
from core.documents import LlmConfig
from core.llm import managed, providers, tiers
from core.store import pages
from web.context import db, services, workspace_id

Document = dict[str, Any]

TIER = "tier:"


def providers_to_choose() -> list[tuple[str, list[tuple[str, str]]]]:
    """Groups of (value, text)."""
    names = [name for name in providers.PROVIDERS if name != providers.SANDBOX]
    vendors = [(name, f"{name}: {tiers.default_model(name)}") for name in names]
    offered = [
        (f"{TIER}{name}", f"{name}: {tier.chat_model}")
        for name, tier in tiers.table().tiers.items()
        if managed.available(name, services().settings)
    ]
    sandbox = [(providers.SANDBOX, "sandbox (no key needed)")]
    groups = [("With a key of yours", vendors), ("Managed tiers", offered), ("To try", sandbox)]
    return [(label, options) for label, options in groups if options]


def chosen(config: LlmConfig | None) -> str:
    """The value that stands for what is stored."""
    if config is None:
        return ""
    return f"{TIER}{config['tier']}" if config["managed"] else config["provider"] or ""


def meant(value: str) -> Document:
    """What a value says, as fields of an llm_config."""
    if value.startswith(TIER):
        return {"managed": True, "tier": value.removeprefix(TIER), "provider": None}
    return {"managed": False, "provider": value}


def credentials_to_choose() -> list[tuple[str, str]]:
    """(name, text) of the workspace's credentials."""
    found, _ = credentials.page(db(), workspace_id(), limit=pages.MOST, cursor=None)
    return [(one["name"], f"{one['name']} ({one['provider']})") for one in found]
