"""The providers: one row each. A vendor that speaks OpenAI's format is a row, not a file.

Each vendor's default model, and the vendors to ask after it, are in `llm-tiers.json`, where an operator may
change them. `core.llm.tiers` checks when a process starts that the file and these rows name the same vendors.

Groq, Ollama, LM Studio, OpenRouter and the like are custom endpoints of `openai`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from core.config import Settings
from core.errors import Invalid
from core.llm.types import Target, WireName
from core.outbound.addresses import folded

SANDBOX = "sandbox"


@dataclass(frozen=True)
class Habits:
    """What a vendor does differently in OpenAI's format.

    `names`: it takes `messages[].name`. `coldest`, `hottest`: the temperatures that it takes.
    `thinks_aloud`: its `<think>` belongs back into the content when a turn goes on after a tool call.
    """

    names: bool = True
    coldest: float = 0.0
    hottest: float = 2.0
    thinks_aloud: bool = False


@dataclass(frozen=True)
class Provider:
    """A row. The sandbox has no `base_url`, since its port is a setting, and it has no price.

    `wire`: the format that it speaks. `priced_as`: its id in the tables of `genai-prices`.
    `hosts`: its own, beside that of `base_url`; as a custom endpoint, one of them is the vendor itself.
    `domains`: custom endpoints below these have its habits too.
    `windows`: the tokens that its models take, by name, for those of which `genai-prices` does not say it.
    """

    name: str
    wire: WireName
    base_url: str | None
    priced_as: str | None
    hosts: tuple[str, ...] = ()
    habits: Habits = Habits()
    domains: tuple[str, ...] = ()
    windows: Mapping[str, int] = field(default_factory=dict)

    def is_at(self, host: str) -> bool:
        """Is this host one of its own, or below one, as a vendor's regions are?"""
        own = urlsplit(self.base_url or "").hostname
        return any(f".{host}".endswith(f".{name}") for name in (own, *self.hosts) if name)


PROVIDERS = {
    provider.name: provider
    for provider in (
        # https://platform.openai.com/docs/api-reference, read 2026-11
        Provider("openai", "openai", "https://api.openai.com/v1", priced_as="openai"),
        # https://docs.anthropic.com/en/api/messages, read 2026-11
        Provider("anthropic", "anthropic", "https://api.anthropic.com/v1", priced_as="anthropic"),
        # https://platform.minimax.io/docs/api-reference/text-openai-api, read 2026-11: temperature in (0, 1].
        Provider(
            "minimax",
            "openai",
            "https://api.minimax.io/v1",
            priced_as="minimax",
            hosts=("api.minimaxi.com", "api.minimax.chat"),
            habits=Habits(coldest=0.01, hottest=1.0, thinks_aloud=True),
            domains=("minimax.io", "minimaxi.com"),
        ),
        Provider(SANDBOX, "openai", None, priced_as=None),
    )
}

# https://console.groq.com/docs/openai, read 2026-11: Groq answers names with 400 (logprobs and n too, but we
# never send them).
OF_CUSTOM_ENDPOINTS = {"groq.com": Habits(names=False)}
"""By domain: the habits of vendors that have no row, and are asked as custom endpoints."""

BY_DOMAIN = OF_CUSTOM_ENDPOINTS | {
    domain: provider.habits for provider in PROVIDERS.values() for domain in provider.domains
}


CALLED = ("/chat/completions", "/completions", "/responses", "/messages", "/embeddings")
"""Where calls go: what vendors' manuals show, and users paste, where the address before it is meant."""


def vendors() -> list[str]:
    """The providers that take a key and may follow one another: all but the sandbox."""
    return [name for name in PROVIDERS if name != SANDBOX]


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
        base = custom_endpoint.rstrip("/")
        called = next((path for path in CALLED if base.endswith(path)), "")
        return base.removesuffix(called).rstrip("/")
    found = row(provider)
    return found.base_url or settings.sandbox_url


def vendor_at(custom_endpoint: str | None) -> str | None:
    """The provider whose own address this is, in whatever spelling; None for anybody else's."""
    if not custom_endpoint:
        return None
    host = folded(urlsplit(custom_endpoint).hostname or "")
    return next((name for name, provider in PROVIDERS.items() if provider.is_at(host)), None)


def check_endpoint(provider: str, custom_endpoint: str | None) -> None:
    """Raises `Invalid` for the address of another vendor, whose prices and rules would not be found."""
    if custom_endpoint and urlsplit(custom_endpoint).query:
        detail = "leave the query out: `/chat/completions` is added to the address as it is"
        raise Invalid(detail, errors=[{"pointer": "/custom_endpoint", "detail": detail}])
    vendor = vendor_at(custom_endpoint)
    if vendor not in (None, provider):
        detail = f"this is {vendor}'s own address: name `{vendor}` as the provider"
        raise Invalid(detail, errors=[{"pointer": "/custom_endpoint", "detail": detail}])


def habits(target: Target) -> Habits:
    """The habits of the vendor at the target's address; for an unknown address, those of the provider."""
    host = f".{urlsplit(target.base_url).hostname or ''}"
    at_address = (found for domain, found in BY_DOMAIN.items() if host.endswith(f".{domain}"))
    return next(at_address, PROVIDERS[target.provider].habits)


def priced_as(name: str) -> str:
    """The id of a provider in the price tables; a name without a row is its own id."""
    found = PROVIDERS.get(name)
    return (found.priced_as if found else None) or name
