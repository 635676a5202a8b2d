"""Agents made, changed, removed and explained, from whichever door."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from core.agents import agent_config, agents, explain, managed_agents
from core.chat import chat
from core.clock import utcnow
from core.documents import Agent, LlmConfig
from core.llm import tiers
from core.metering import admission
from core.metering import prices as price_tables
from core.metering.estimate import costs_of
from core.runtime import instance_keys, orders
from web.context import caller, db, prices, services, workspace_id
from web.doors.work import find_credential
from web.problems import below

Document = dict[str, Any]


def create(given: Mapping[str, Any]) -> Agent:
    """Make an agent of what a body said. Raises `Conflict`, `Invalid`, `KeyRequired`."""
    fields = dict(given)
    config = fields.pop("llm_config", None)
    with below("llm_config"):
        return agents.create(db(), workspace_id(), fields, _configure(config))


def change(agent: Agent, given: Mapping[str, Any]) -> Agent:
    """Set what a body said; `llm_config` as a whole, but its keys. Raises as `create`, and `Forbidden`."""
    fields = dict(given)
    config = fields.pop("llm_config", None)
    may_loosen = caller().role == "admin"
    with below("llm_config"):
        changed = agents.change(db(), agent, fields, _configure(config), may_loosen=may_loosen)
    instance_keys.limit(db(), changed)
    return changed


def configure(agent: Agent, given: Mapping[str, Any]) -> Agent:
    """Set its llm_config alone. Raises as `create`."""
    return agents.change(db(), agent, {}, _configure(given))


def remove(agent: Agent) -> None:
    """Its keys end, its queued jobs are cancelled, its ledger stays. Raises `Conflict` for one that runs."""
    orders.check_at_rest(db(), agent)
    _clear(agent)  # while the agent is there: what an outage cuts off is asked for again
    agents.delete(db(), agent)
    _clear(agent)  # what came meanwhile


def _clear(agent: Agent) -> None:
    agents.clear(db(), services().redis, agent)
    orders.forget(db(), agent["_id"])


def explained(agent: Agent, asked: Mapping[str, Any]) -> Document:
    """The route that this call would take now, with its largest cost. Raises `Invalid`, `OverLimit`."""
    plan = chat.plan(agents.checked(agent), settings=services().settings, find_credential=find_credential)
    capped = admission.within_cap(db(), agent, plan, tiers.table().monthly_tokens(), utcnow())
    own, window = price_tables.of_workspace(db(), workspace_id()), services().settings.unknown_window_tokens
    return explain.explain(costs_of(capped, dict(asked), prices(), own, unknown_window=window))


def _configure(given: Mapping[str, Any] | None) -> agents.Configure | None:
    """How to make the llm_config that was asked for. None: the request said nothing of it."""
    if given is None:
        return None
    seal = partial(
        agent_config.configured,
        workspace_id=workspace_id(),
        sealer=services().sealer,
        settings=services().settings,
        find_credential=find_credential,
    )

    def configured(agent_id: str, stored: LlmConfig | None) -> LlmConfig:
        new = seal(given, stored, agent_id=agent_id)
        managed_agents.check_room(db(), workspace_id(), agent_id, stored, new)
        return new

    return configured
