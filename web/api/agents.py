"""Agents and their llm-config."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Response

from core.agents import agent_config, agents, explain
from core.chat import chat
from core.clock import utcnow
from core.llm import tiers
from core.metering import admission
from core.metering import prices as price_tables
from core.metering.estimate import costs_of
from core.runtime import instance_keys, orders
from web.access import access
from web.answers import answer, listed, nothing
from web.api.models import AgentChanges, LlmConfig, NewAgent, Supposed
from web.context import caller, db, prices, services, workspace_id
from web.doors.work import find_credential
from web.problems import below
from web.resource import AgentPath, PageQuery, resource

api = resource("agents", "Agents: who is asked, and how")


@api.post("/agents", responses={"201": {"description": "The agent"}})
def create_agent(body: NewAgent) -> Response:
    """Make an agent."""
    given = body.given()
    config = given.pop("llm_config", None)
    with below("llm_config"):
        agent = agents.create(db(), workspace_id(), given, _configure(config))
    return answer(agents.public(agent), 201, {"Location": f"/api/v1/agents/{agent['_id']}"})


@api.get("/agents", responses={"200": {"description": "A page of agents, newest first"}})
@access(filtered=True)
def list_agents(query: PageQuery) -> Response:
    """The workspace's agents."""
    items, cursor = agents.page(
        db(), workspace_id(), limit=query.limit, cursor=query.cursor, only=caller().agents
    )
    return listed(map(agents.public, items), cursor)


@api.get("/agents/<agent_id>", responses={"200": {"description": "The agent"}})
def get_agent(path: AgentPath) -> Response:
    """One agent."""
    return answer(agents.public(agents.get(db(), workspace_id(), path.agent_id)))


@api.patch("/agents/<agent_id>", responses={"200": {"description": "The agent"}})
def change_agent(path: AgentPath, body: AgentChanges) -> Response:
    """Change some fields of an agent; `llm_config` works as its own PUT does."""
    agent = agents.get(db(), workspace_id(), path.agent_id)
    given = body.given()
    config = given.pop("llm_config", None)
    may_loosen = caller().role == "admin"
    with below("llm_config"):
        changed = agents.change(db(), agent, given, _configure(config), may_loosen=may_loosen)
    instance_keys.limit(db(), changed)
    return answer(agents.public(changed))


@api.delete("/agents/<agent_id>", responses={"204": {"description": "Gone"}})
def delete_agent(path: AgentPath) -> Response:
    """Remove an agent that does not run: its keys end, its queued jobs are cancelled, its ledger stays."""
    agent = agents.get(db(), workspace_id(), path.agent_id)
    orders.check_at_rest(db(), agent)
    agents.delete(db(), services().redis, agent)
    orders.forget(db(), agent["_id"])
    return nothing()


@api.put("/agents/<agent_id>/llm-config", responses={"200": {"description": "Without its secrets"}})
def put_llm_config(path: AgentPath, body: LlmConfig) -> Response:
    """Set which provider answers. Everything but the key is replaced; a key belongs to its address."""
    agent = agents.get(db(), workspace_id(), path.agent_id)
    changed = agents.change(db(), agent, {}, _configure(body.given()))
    return answer(agent_config.public(changed["llm_config"]))


@api.get("/agents/<agent_id>/llm-config", responses={"200": {"description": "Without its secrets"}})
def get_llm_config(path: AgentPath) -> Response:
    """Which provider answers, without the secrets."""
    agent = agents.get(db(), workspace_id(), path.agent_id)
    return answer(agent_config.public(agent["llm_config"]))


@api.post("/agents/<agent_id>/llm-config/explain", responses={"200": {"description": "The route"}})
def explain_llm_config(path: AgentPath, body: Supposed) -> Response:
    """The route that a call would take now, whose keys it would use, its largest cost. No call is made."""
    agent = agents.ready(db(), workspace_id(), path.agent_id)
    plan = chat.plan(agent, settings=services().settings, find_credential=find_credential)
    capped = admission.within_cap(db(), agent, plan, tiers.table().monthly_tokens(), utcnow())
    own, window = price_tables.of_workspace(db(), workspace_id()), services().settings.unknown_window_tokens
    return answer(explain.explain(costs_of(capped, body.asked(), prices(), own, unknown_window=window)))


def _configure(given: dict[str, Any] | None) -> agents.Configure | None:
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
    return lambda agent_id, stored: seal(given, stored, agent_id=agent_id)
