"""The shapes of accounts: keys, budgets, workspaces, their prices and secrets."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from core.documents import BudgetPeriod, LimitPolicy, Role
from web.shapes.base import Shape, say


class Budget(Shape):
    """How a budget stands."""

    limit_usd: float = say("what may be spent in the period")
    spent_usd: float = say("what was spent")
    reserved_usd: float = say("what is held for jobs under way")
    left_usd: float = say("what is left")
    resets_at: datetime = say("when the next period begins")


class Key(Shape):
    """An API key, without its text."""

    id: str = say("what paths name")
    key_hint: str = say("the last characters of its text")
    name: str = say("what somebody called it")
    role: Role = say("what it may do")
    workspace_id: str = say("where")
    agents: list[str] | None = say("the only agents that it may touch; null: all")
    rpm: int | None = say("requests a minute; null: any number")
    tpm: int | None = say("tokens a minute; null: any number")
    budget_usd: float | None = say("what it may spend a period; null: any amount")
    budget_period: BudgetPeriod | None = say("the period of its budget")
    max_running: int | None = say("how many of its jobs may run at the same time; null: any number")
    expires_at: datetime | None = say("when it ends")
    revoked_at: datetime | None = say("when it was ended, or will be after a rotation's grace")
    created_at: datetime = say("when it was made")


class NewKeyShown(Key):
    """A new API key, with its text."""

    key: str = say("its text, shown this once")


class KeyStanding(Key):
    """An API key, and how its budget stands."""

    budget: Budget | None = say("how it stands; null: none")


class Limit(Shape):
    """How a key stands in this minute."""

    name: Literal["requests", "tokens"] = say("of what")
    limit: int = say("how many a minute")
    remaining: int = say("how many are left")
    resets_in_s: int = say("when the next minute begins, in seconds")


class OwnKey(KeyStanding):
    """The key that asks."""

    may: list[str] = say("what its role may do, in words")
    limits: list[Limit] = say("how it stands in this minute")


class Workspace(Shape):
    """A workspace."""

    id: str = say("what paths and `X-Workspace` name")
    name: str = say("what people call it")
    alert_url: str | None = say("what is told of allowances, budgets and processes")
    limit_policy: LimitPolicy = say("what becomes of managed calls above an allowance")
    max_running: int | None = say("how many of its jobs may run at the same time; null: any number")
    managed_agents_max: int | None = say("how many managed agents it may have; null: any number")
    created_at: datetime = say("when it was made")


class Price(Shape):
    """A workspace's own price of a model: USD per million tokens."""

    provider: str = say("whose model")
    model: str = say("which model")
    input: float = say("of tokens that are sent")
    output: float = say("of tokens that come back")
    cache_read: float = say("of sent tokens that the provider had cached")
    cache_write: float = say("of sent tokens that it caches")
    since: str = say("the date from which it holds")


class WebhookSecret(Shape):
    """What signs a workspace's callbacks."""

    secret: str = say("`whsec_…`, as Standard Webhooks has it")
