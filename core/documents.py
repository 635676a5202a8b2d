"""What the collections `agents`, `credentials`, `keys` and `workspaces` keep, for every layer.

A comment a field says who writes it and who reads it, where that is not the module named above it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict, cast

from bson.decimal128 import Decimal128
from pymongo.collection import Collection
from pymongo.database import Database

AskedRole = Literal["admin", "member", "viewer", "agent"]
"""What somebody can ask for that a key may do: `web.access` has the rules."""
Role = Literal[AskedRole, "runtime"]
"""`runtime`: an agent's own process."""

BudgetPeriod = Literal["day", "month"]

LimitPolicy = Literal["log", "block"]
"""What becomes of managed calls once a tier's allowance is used up."""


class SealedKey(TypedDict):
    """A user's key for one fallback provider."""

    sealed: str  # `core.llm.keyring` opens it; `core.reseal` writes it again
    hint: str  # its last characters, shown


class LlmConfig(TypedDict):
    """Which provider answers. `core.agents.agent_config` writes it; `core.llm.plan` makes targets of it."""

    provider: str | None  # None: the tier's
    model: str | None  # None: the provider's default
    custom_endpoint: str | None
    credential: str | None  # the name of a workspace's credential, instead of a key
    managed: bool  # also read by admission
    tier: str | None  # whose allowance managed calls use; also read by admission
    temperature: float | None  # `core.chat` puts this and the next four on the plan
    max_tokens: int | None
    top_p: float | None
    prompt_cache: NotRequired[Literal["auto", "5m", "1h", "off"]]  # the same
    reasoning_effort: NotRequired[str | None]
    fallback: list[dict[str, Any]] | None  # None: the provider's default chain
    allow_managed_fallback: bool  # also read by admission
    wire: NotRequired[Literal["responses", "chat"] | None]  # None: `core.llm.families` chooses at each call
    content_fallback: bool  # `core.chat` puts it on the plan, the router reads it there
    sealed_key: str | None  # `core.llm.keyring` opens it; `core.reseal` writes it again
    key_hint: str | None  # shown only
    keys: dict[str, SealedKey]  # by provider


class Imported(TypedDict):
    """The import that an agent is of. `core.runtime.importing` writes it, with the configuration."""

    job_id: str  # whatever is launched next has the box that this job brought
    note: str | None  # why its llm_config was not taken


class Agent(TypedDict):
    """Who is asked, and how. `core.agents.agents` writes it, each time by compare-and-set on `revision`."""

    _id: str
    workspace_id: str
    name: str  # unique in its workspace; paths may say `agent:<name>`
    email: str | None  # shown only
    description: str | None  # shown only
    system_prompt: str | None  # `core.chat` puts it on the plan
    tools: list[str]  # names of tools of the agent's own process
    metadata: dict[str, Any]  # the client's own
    on_worker_loss: Literal[
        "retry", "fail"
    ]  # `core.chat` puts it on the plan, `core.jobs.model` reads it there
    content_retention: str | None  # likewise; None: what the settings say
    runtime_budget_usd: float | None  # this and the next one: `core.runtime.instance_keys`
    runtime_budget_period: BudgetPeriod
    drive_sync: bool  # `core.runtime.sync`
    limit_policy: LimitPolicy | None  # read by admission; None: the workspace's alone holds
    max_running: NotRequired[int | None]  # how many of its jobs at the same time; read by `core.jobs.bounds`
    llm_config: LlmConfig | None  # None: it cannot be asked yet
    imported: NotRequired[Imported]
    revision: int
    created_at: datetime
    updated_at: datetime  # shown only


class Credential(TypedDict):
    """A workspace's provider key, used by many agents. `core.agents.credentials` writes it."""

    _id: str  # workspace and name
    workspace_id: str
    name: str  # what an agent's llm_config says
    provider: str
    custom_endpoint: str | None  # the key is sealed for this address; None: for the vendor's own
    sealed_key: str  # `core.llm.keyring` opens it; `core.reseal` writes it again
    key_hint: str  # shown only
    revision: int
    created_at: datetime
    updated_at: datetime  # shown only


class Key(TypedDict):
    """An API key. `core.accounts.keys` writes it, and reads it at the door."""

    _id: str  # made of the key's text; limits and budgets count under it, jobs name it
    hash: str  # SHA-256 of the key's text
    hint: str  # its last characters, shown
    name: str  # shown only
    role: Role
    workspace_id: str
    agents: list[str] | None  # the only ones that it may touch; None: all
    expires_at: datetime | None
    revoked_at: datetime | None  # may lie ahead: a rotation with a grace
    created_at: datetime
    created_by: str  # a key's id, `command line`; `environment` or `file`, read by `core.first_start`
    counts_as: NotRequired[
        str
    ]  # the first of the keys that this one replaced; limits and budgets count under that
    rpm: int | None  # requests a minute; read by `core.accounts.limits`
    tpm: int | None  # tokens a minute; likewise
    budget_usd: Decimal128 | None  # read by `core.metering.budget`
    budget_period: BudgetPeriod | None  # likewise
    max_running: NotRequired[int | None]  # how many of its jobs at the same time; read by `core.jobs.bounds`
    instance: NotRequired[str]  # of the role `runtime`: the process that has it


class Session(TypedDict):
    """Somebody who is signed in, or a link that signs in once. `core.accounts.sessions` writes it."""

    _id: str  # the SHA-256 of the cookie's text, or of the link's code
    key_id: str  # the API key it stands for, which is read at each request
    workspace_id: str  # that it is about: the key's own, or the one that an admin turned to
    link: bool  # a link: it is removed when it is used, and signs in
    created_at: datetime
    expires_at: datetime  # `core.retention` removes it then


class FormerSecret(TypedDict):
    """A workspace's signing secret that was replaced."""

    sealed: str
    until: datetime


class Workspace(TypedDict):
    """Who owns what. `core.accounts.workspaces` writes it."""

    _id: str
    name: str  # shown only
    created_at: datetime
    all: bool  # true on each, for the index that lists them
    alert_url: NotRequired[str | None]  # told by `core.metering.allowances` and `core.runtime.alerts`
    limit_policy: NotRequired[LimitPolicy]  # read by admission, beside the agent's own; absent: `log`
    max_running: NotRequired[int | None]  # how many of its jobs at the same time; read by `core.jobs.bounds`
    managed_agents_max: NotRequired[int | None]  # read by `core.agents.managed_agents`; None: any number
    webhook_secret: NotRequired[str]  # sealed; `core.signing` makes it on first use
    webhook_secret_before: NotRequired[FormerSecret]  # signs too, until then


def agents_of(db: Database[dict[str, Any]]) -> Collection[Agent]:
    """The collection of agents. Like those below, it has a type, so that mypy knows what is read from it."""
    return cast("Collection[Agent]", db.agents)


def credentials_of(db: Database[dict[str, Any]]) -> Collection[Credential]:
    return cast("Collection[Credential]", db.credentials)


def keys_of(db: Database[dict[str, Any]]) -> Collection[Key]:
    return cast("Collection[Key]", db["keys"])


def sessions_of(db: Database[dict[str, Any]]) -> Collection[Session]:
    return cast("Collection[Session]", db.sessions)


def workspaces_of(db: Database[dict[str, Any]]) -> Collection[Workspace]:
    return cast("Collection[Workspace]", db.workspaces)
