"""Admission: may this call be made? Asked before a job is accepted: the tier's cap, then the key's budget.
A job may wait: the cap is asked again when it begins, the budget before each call (`core.metering.recheck`).

Calls in flight may overshoot a cap: tokens are known when a call has ended. A budget is hard: the most that
the call may cost is reserved before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from pymongo.database import Database

from core.accounts.keys import Caller
from core.documents import Agent, LimitPolicy, agents_of, workspaces_of
from core.errors import Invalid
from core.jobs.document import Job
from core.llm.managed import MANAGED
from core.llm.records import PlannedTarget
from core.metering import allowances
from core.metering.budget import OverLimit, of_key
from core.metering.estimate import Tokens, cost, is_endless, most
from core.metering.intents import Change
from core.metering.prices import Prices, Table
from core.metering.prices import tier as price_tier
from core.metering.reserving import Reservation
from core.store.remembered import Remembered

Document = dict[str, Any]

BLOCK: LimitPolicy = "block"
NO_CAP = -1


def within_cap(
    db: Database[Document],
    agent: Agent,
    plan: Mapping[str, Any],
    monthly_tokens: Mapping[str, int],
    now: datetime,
) -> Mapping[str, Any]:
    """The plan, without managed targets where the agent's allowance is used up and `limit_policy` blocks.

    Raises `OverLimit` (402) when no target is left. A user's own keys know no allowance.
    """
    return _capped(plan, monthly_tokens, now, lambda tier: _counted(db, agent, tier, now))


def still_within_cap(
    db: Database[Document], known: Remembered, job: Job, monthly_tokens: Mapping[str, int], now: datetime
) -> Mapping[str, Any]:
    """`within_cap` for a job that is about to be carried out, by the policies of today.

    `known`: remembers for a moment what an agent has used. A job that has no managed target reads nothing.
    """

    def counted(tier: str) -> int:
        found = agents_of(db).find_one({"_id": job["agent_id"]}, {"limit_policy": 1})
        policy = None if found is None else found["limit_policy"]
        agent = {"_id": job["agent_id"], "workspace_id": job["workspace_id"], "limit_policy": policy}
        return _counted(db, agent, tier, now)

    return _capped(
        job["plan"],
        monthly_tokens,
        now,
        lambda tier: known.get(("cap", job["agent_id"], tier), lambda: counted(tier)),
    )


def _capped(
    plan: Mapping[str, Any],
    monthly_tokens: Mapping[str, int],
    now: datetime,
    counted: Callable[[str], int],
) -> Mapping[str, Any]:
    """`within_cap`. `counted(tier)`: see `_counted`."""
    targets: list[PlannedTarget] = plan["targets"]
    tier = next((target["tier"] for target in targets if target["key_kind"] == MANAGED), None)
    if tier is None or tier not in monthly_tokens:
        return plan
    try:
        allowances.check(counted(tier), tier, monthly_tokens[tier], now)
    except OverLimit:
        own = [target for target in targets if target["key_kind"] != MANAGED]
        if not own:
            raise
        return {**plan, "targets": own}
    return plan


def _counted(db: Database[Document], agent: Mapping[str, Any], tier: str, now: datetime) -> int:
    """The tokens that count for a hard cap; none where `limit_policy` blocks nothing."""
    if _policy(db, agent) != BLOCK:
        return NO_CAP
    return allowances.used(db, agent["workspace_id"], agent["_id"], tier, f"{now:%Y-%m}")


def reservation(
    prices: Prices,
    *,
    job_id: str,
    caller: Caller,
    own: Callable[[], Table],
    plan: Mapping[str, Any],
    request: Mapping[str, Any],
    now: datetime,
    unknown_window: int,
) -> tuple[Reservation, Mapping[str, Any]] | None:
    """What the call of `job_id` may cost, to be held when it is stored, and its plan, which names the budget.

    None: the key has no budget, nothing was read. `own`: reads the workspace's own prices. `unknown_window`:
    see `core.metering.estimate`. Raises `Invalid` for a model without a known price: a hard budget cannot be
    held to without one.
    """
    budget = of_key(caller, now)
    if budget is None:
        return None
    usage, table = most(plan, request, unknown_window=unknown_window), own()
    costs = [known(target, usage, cost(target, usage, prices, table)) for target in plan["targets"]]
    limit = {"usd": str(budget.usd), "per": caller.budget_period, "all": budget.workspace_id is None}
    needed = max(costs)
    reserved = Reservation(budget, Change(job_id, None, {budget.at: needed}), needed, now)
    return reserved, {**plan, "budget": {**limit, "most": dict(usage)}}


def known(target: Mapping[str, Any], usage: Tokens, price: Decimal | None) -> Decimal:
    """The cost of a target. Raises `Invalid` where nobody knows it."""
    if price is None and is_endless(target, usage):
        raise Invalid(
            f"this key has a budget, and nobody knows how many tokens {target['provider']}/{target['model']} "
            "will read: give files with their content, not by id or URL, and no tools that the provider runs",
            code="price_unknown",
        )
    if price is None:
        raise Invalid(
            f"this key has a budget, but the price of {_named(target, usage)} is unknown: "
            "set one for the workspace",
            code="price_unknown",
        )
    return price


def _named(target: Mapping[str, Any], usage: Tokens) -> str:
    tier = price_tier({"usage_raw": usage})
    return f"{target['provider']}/{target['model']}" + (f"@{tier}" if tier else "")


def _policy(db: Database[Document], agent: Mapping[str, Any]) -> LimitPolicy | None:
    """The stricter `limit_policy` of the agent's and its workspace's; None, like `log`, blocks nothing."""
    if agent["limit_policy"] == BLOCK:
        return BLOCK
    workspace = workspaces_of(db).find_one({"_id": agent["workspace_id"]}, {"limit_policy": 1})
    return workspace.get("limit_policy") if workspace is not None else None
