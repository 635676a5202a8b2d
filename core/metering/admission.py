"""Admission: may this call be made? Asked before a job is accepted: the tier's cap, then the key's budget.

A request that repeats an earlier one is looked up first: it gets its job, whatever is used up by now.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pymongo.database import Database

from core.metering import allowances, budgets
from core.metering import prices as price_tables
from core.metering.budgets import Budget
from core.metering.estimate import largest_cost
from core.metering.prices import Prices

Document = dict[str, Any]

BLOCK = "block"


def admit(
    db: Database[Document],
    prices: Prices,
    *,
    job_id: str,
    key: Mapping[str, Any],
    agent: Mapping[str, Any],
    plan: Mapping[str, Any],
    request: Mapping[str, Any],
    monthly_tokens: Mapping[str, int],
    now: datetime,
) -> Budget | None:
    """Check the agent's hard cap, reserve what the call may cost for `job_id`; the budget, if there is one.

    `key`: _id, workspace_id, budget_usd, budget_period. `plan`, `request`: as the job will carry them; its
    document must get `job_id`, or `budgets.release` be called. Raises `OverLimit` (402), and `Invalid` for a
    model without a known price under a budget. A key without a budget costs no read.
    """
    _check_cap(db, agent, monthly_tokens, now)
    budget = budgets.of_key(key, now.astimezone(UTC))
    if budget is None:
        return None
    of_agent = plan.get("agent") or {}
    asked = {**request, "max_tokens": request.get("max_tokens") or of_agent.get("max_tokens")}
    own = price_tables.of_workspace(db, agent["workspace_id"])
    prompt = of_agent.get("system_prompt")
    estimate = largest_cost(plan["targets"], asked, prices, own, system_prompt=prompt)
    budgets.reserve(db, budget, job_id, estimate)
    return budget


def _check_cap(
    db: Database[Document], agent: Mapping[str, Any], monthly_tokens: Mapping[str, int], now: datetime
) -> None:
    """`limit_policy` of the agent, else of its workspace; `log`, which blocks nothing, when neither says."""
    config = agent.get("llm_config") or {}
    tier = config.get("tier") if config.get("managed") else None
    if tier is None or tier not in monthly_tokens:
        return
    policy = agent.get("limit_policy")
    if policy is None:
        workspace = db.workspaces.find_one({"_id": agent["workspace_id"]}, {"limit_policy": 1})
        policy = (workspace or {}).get("limit_policy")
    if policy == BLOCK:
        allowances.check(db, agent["workspace_id"], agent["_id"], tier, monthly_tokens[tier], now)
