"""The shapes of agents: who is asked, and how; credentials, conversations, the route of a call."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import RootModel, create_model

from core.agents import fields
from web.shapes.base import Shape, say


def _with(name: str, rows: Iterable[fields.Row]) -> Any:
    """A base with these fields, all there."""
    found: dict[str, Any] = {row.name: (row.type, say(row.description or "")) for row in rows}
    return create_model(name, __base__=Shape, **found)


class KeyHint(Shape):
    """A sealed provider key."""

    hasKey: bool = say("is there one?")
    key_hint: str | None = say("its last characters; empty for a short one")


class LlmConfigShown(_with("LlmConfigFields", fields.LLM_CONFIG)):  # type: ignore[misc] # each row is a field
    """Which provider answers, without the secrets."""

    hasKey: bool = say("has it a key of its own?")
    key_hint: str | None = say("the last characters of the key; empty for a short one")
    keys: dict[str, KeyHint] = say("of the fallbacks, by provider")


class NoLlmConfig(RootModel[LlmConfigShown | None]):
    """Which provider answers, without the secrets; null: it cannot be asked yet."""


class Agent(_with("AgentFields", fields.AGENT)):  # type: ignore[misc] # each row is a field
    """An agent."""

    id: str = say("what paths name; `agent:<name>` does the same")
    workspace_id: str = say("whose it is")
    name: str = say("unique in its workspace")
    llm_config: LlmConfigShown | None = say("which provider answers; null: it cannot be asked yet")
    created_at: datetime = say("when it was made")
    updated_at: datetime = say("when it was changed last")


class Credential(Shape):
    """A workspace's provider key, without its text."""

    name: str = say("what an agent's `llm_config` says")
    provider: str = say("whose key it is")
    custom_endpoint: str | None = say("the address that it was given for; null: the vendor's own")
    key_hint: str = say("its last characters; empty for a short one")
    hasKey: bool = say("is there one?")
    created_at: datetime = say("when it was made")
    updated_at: datetime = say("when it was changed last")


class Conversation(Shape):
    """An agent's conversation."""

    id: str = say("what the first chat called it")
    agent_id: str = say("whose it is")
    created_at: datetime = say("when it began")


class Turn(Shape):
    """One chat of a conversation."""

    job_id: str = say("the job that it was")
    created_at: datetime = say("when it was asked")
    messages: list[dict[str, Any]] = say("what was asked, then the answer, in OpenAI's format")


class Hop(Shape):
    """One target of a route."""

    provider: str = say("who is asked")
    model: str = say("which of its models")
    address: str = say("where the call goes")
    key: str = say("whose: `own`, `credential:<name>`, `managed` or `none`")
    tier: str | None = say("whose allowance it uses")
    largest_cost: float | None = say("the most that it may cost in USD; null: the price is not known")


class Route(Shape):
    """The route that a call would take."""

    route: list[Hop] = say("in the order in which they are asked")
    largest_cost: float | None = say("the most that the call may cost in USD; null: a price is not known")
