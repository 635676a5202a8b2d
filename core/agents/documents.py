"""What the collections `agents` and `credentials` keep. Types alone; a comment a field says who reads it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict


class SealedKey(TypedDict):
    """A user's key for one fallback provider."""

    sealed: str  # `core.llm.plan` puts it on a job's target
    hint: str  # its last characters, shown


class LlmConfig(TypedDict):
    """Which provider answers. `core.agents.agent_config` writes it; `core.llm.plan` makes targets of it."""

    provider: str | None  # None: the tier's
    model: str | None  # None: the provider's default
    custom_endpoint: str | None
    credential: str | None  # the name of a workspace's credential, instead of a key
    managed: bool
    tier: str | None  # also read by admission and allowances
    temperature: float | None  # this and the next ones: `core.chat` puts them on the plan
    max_tokens: int | None
    top_p: float | None
    fallback: list[dict[str, Any]] | None  # None: the provider's default chain
    allow_managed_fallback: bool
    content_fallback: bool  # read by the router
    sealed_key: str | None  # written again by `core.reseal`
    key_hint: str | None
    keys: dict[str, SealedKey]  # by provider


class Agent(TypedDict):
    """Who is asked, and how. `core.agents.agents` writes it, each time by compare-and-set on `revision`."""

    _id: str
    workspace_id: str
    name: str  # unique in its workspace
    email: str | None  # shown only, as is the next one
    description: str | None
    system_prompt: str | None  # `core.chat` puts it on the plan
    tools: list[str]  # of the agent's own process
    metadata: dict[str, Any]
    on_worker_loss: Literal["retry", "fail"]  # on the plan; `core.jobs.reconcile` reads it there
    content_retention: str | None  # on the plan; None: the settings'
    limit_policy: Literal["log", "block"] | None  # admission
    llm_config: LlmConfig | None  # None: it cannot be asked yet
    revision: int
    created_at: datetime
    updated_at: datetime


class Credential(TypedDict):
    """A workspace's key, used by many agents. Written by `core.agents.credentials` and `core.reseal`."""

    _id: str
    workspace_id: str
    name: str  # what an agent's llm_config says
    provider: str
    custom_endpoint: str | None  # the key is sealed for this address, or the vendor's own
    sealed_key: str
    key_hint: str
    revision: NotRequired[int]
    created_at: datetime
    updated_at: datetime
