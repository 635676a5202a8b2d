"""The providers: one row each. A vendor that speaks OpenAI's format is a row, not a file.

Their default models and fallback chains are in `llm-tiers.json`: see `core.llm.tiers`.

Groq, Ollama, LM Studio, OpenRouter and the like are custom endpoints of `openai`.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.config import Settings
from core.errors import Invalid


@dataclass(frozen=True)
class Provider:
    """`wire`: the format it speaks. `base_url` None: known at run time only (the sandbox)."""

    name: str
    wire: str
    base_url: str | None


PROVIDERS = {
    provider.name: provider
    for provider in (
        # https://platform.openai.com/docs/api-reference, read 2026-11
        Provider("openai", "openai", "https://api.openai.com/v1"),
        # https://docs.anthropic.com/en/api/messages, read 2026-11
        Provider("anthropic", "anthropic", "https://api.anthropic.com/v1"),
        # https://platform.minimax.io/docs/api-reference/text-openai-api, read 2026-11
        Provider("minimax", "openai", "https://api.minimax.io/v1"),
        Provider("sandbox", "openai", None),
    )
}


def row(name: str) -> Provider:
    """Raises `Invalid` for a provider that is not known."""
    if name not in PROVIDERS:
        known = ", ".join(sorted(PROVIDERS))
        raise Invalid(
            f"unknown provider {name!r}; known are {known}",
            errors=[{"pointer": "/provider", "detail": f"one of {known}"}],
        )
    return PROVIDERS[name]


def address(provider: str, custom_endpoint: str | None, settings: Settings) -> str:
    """Where the calls of a provider go: the user's own endpoint, or the vendor's."""
    if custom_endpoint:
        return custom_endpoint.rstrip("/")
    found = row(provider)
    return found.base_url or settings.sandbox_url
