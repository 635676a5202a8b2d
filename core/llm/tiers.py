"""Tiers: what each plan allows and which models answer for it, read from `llm-tiers.json` beside this file.

The same file names each vendor's default model and the vendors to ask after it. A process reads and checks it
once, when it starts: otherwise a missing entry would show as a failed call of some customer.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from core.documents import Agent
from core.llm import providers

FILE = Path(__file__).with_name("llm-tiers.json")
EXACT = ConfigDict(extra="forbid", strict=True, frozen=True)

Model = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]+/\S+$")]
"""`provider/model`."""


class BadTiers(Exception):
    """`llm-tiers.json` cannot be used; the text says what is wrong, and where."""


class Tier(BaseModel):
    """`chat_model` answers chats, `runtime_model` is for the agent's own process. `price_usd`: a month."""

    model_config = EXACT
    chat_model: Model
    runtime_model: Model
    monthly_tokens: Annotated[int, Field(gt=0)]
    price_usd: Annotated[int | float, Field(ge=0)]

    def chat(self) -> tuple[str, str]:
        """(provider, model)."""
        return _parted(self.chat_model)

    def runtime(self) -> tuple[str, str]:
        """(provider, model) of the agent's own process."""
        return _parted(self.runtime_model)


def _parted(model: str) -> tuple[str, str]:
    provider, _, name = model.partition("/")
    return provider, name


class Table(BaseModel):
    """The whole file."""

    model_config = EXACT
    tiers: dict[str, Tier]
    default_models: dict[str, str]
    fallback_chains: dict[str, list[str]]

    @model_validator(mode="after")
    def _fits_the_providers(self) -> Self:
        """Each vendor of `core.llm.providers` has its entries, and only vendors are named."""
        vendors = providers.vendors()
        named = [(name, tier.chat()[0]) for name, tier in self.tiers.items()]
        for where, entries in (
            ("default_models", list(self.default_models)),
            ("fallback_chains", list(self.fallback_chains)),
        ):
            if missing := [vendor for vendor in vendors if vendor not in entries]:
                raise ValueError(f"{', '.join(missing)} has no entry in {where}")
            named += [(where, vendor) for vendor in entries]
        for vendor, chain in self.fallback_chains.items():
            named += [(f"the chain of {vendor}", follower) for follower in chain]
        for where, vendor in named:
            if vendor not in vendors:
                raise ValueError(f"{where} names {vendor}, which is no vendor in core/llm/providers.py")
        return self

    def monthly_tokens(self) -> dict[str, int]:
        """Tokens a month, by tier."""
        return {name: tier.monthly_tokens for name, tier in self.tiers.items()}

    def prices_usd(self) -> dict[str, int | float]:
        """USD a month, by tier."""
        return {name: tier.price_usd for name, tier in self.tiers.items()}


@cache
def table() -> Table:
    """The table that this installation came with. Raises `BadTiers`."""
    return read(FILE)


def default_model(provider: str) -> str:
    """The model of a call for which nobody names one. The sandbox's only model has the sandbox's name."""
    return table().default_models.get(provider, provider)


def followers(provider: str) -> list[str]:
    """The vendors to ask after this one, in this order."""
    return [name for name in table().fallback_chains[provider] if name != provider]


def read(file: Path) -> Table:
    """A table from a file. Raises `BadTiers`."""
    try:
        return Table.model_validate_json(file.read_bytes())
    except OSError as error:
        raise BadTiers(f"{file.name} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the table"
        raise BadTiers(f"{file.name}: {where}: {first['msg']}") from None


def of_agent(agent: Agent) -> str | None:
    """The tier whose allowance an agent's managed calls use; None: it makes none."""
    config = agent["llm_config"]
    if config is None or not (config["managed"] or config["allow_managed_fallback"]):
        return None
    return config["tier"]
