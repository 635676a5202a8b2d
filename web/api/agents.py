"""Agents and their llm-config."""

from __future__ import annotations

from flask import Response

from core.agents import agent_config, agents
from web.access import access
from web.answers import answer, listed, nothing
from web.api.models import AgentChanges, LlmConfig, NewAgent, Supposed
from web.context import caller, db, workspace_id
from web.doors import agents as door
from web.resource import AgentPath, PageQuery, resource
from web.shapes.agents import Agent, LlmConfigShown, NoLlmConfig, Route
from web.shapes.base import page
from web.specification.says import shows, tells

api = resource("agents", "Agents: who is asked, and how")


@api.post("/agents", responses=shows(Agent, "The agent", status=201, headers=("Location",)))
@tells(fails=(409,))
def create_agent(body: NewAgent) -> Response:
    """Make an agent."""
    agent = door.create(body.given())
    return answer(agents.public(agent), 201, {"Location": f"/api/v1/agents/{agent['_id']}"})


@api.get("/agents", responses=shows(page(Agent), "A page of agents, newest first"))
@access(filtered=True)
def list_agents(query: PageQuery) -> Response:
    """The workspace's agents."""
    items, cursor = agents.page(
        db(), workspace_id(), limit=query.limit, cursor=query.cursor, only=caller().agents
    )
    return listed(map(agents.public, items), cursor)


@api.get("/agents/<agent_id>", responses=shows(Agent, "The agent"))
def get_agent(path: AgentPath) -> Response:
    """One agent."""
    return answer(agents.public(agents.get(db(), workspace_id(), path.agent_id)))


@api.patch("/agents/<agent_id>", responses=shows(Agent, "The agent"))
@tells(fails=(409,))
def change_agent(path: AgentPath, body: AgentChanges) -> Response:
    """Change some fields of an agent; `llm_config` works as its own PUT does."""
    agent = agents.get(db(), workspace_id(), path.agent_id)
    return answer(agents.public(door.change(agent, body.given())))


@api.delete("/agents/<agent_id>", responses={"204": {"description": "Gone"}})
@tells(fails=(409,))
def delete_agent(path: AgentPath) -> Response:
    """Remove an agent that does not run: its keys end, its queued jobs are cancelled, its ledger stays."""
    door.remove(agents.get(db(), workspace_id(), path.agent_id))
    return nothing()


@api.put("/agents/<agent_id>/llm-config", responses=shows(LlmConfigShown, "Without its secrets"))
@tells(fails=(409,))
def put_llm_config(path: AgentPath, body: LlmConfig) -> Response:
    """Set which provider answers. Everything but the key is replaced; a key belongs to its address."""
    agent = agents.get(db(), workspace_id(), path.agent_id)
    return answer(agent_config.public(door.configure(agent, body.given())["llm_config"]))


@api.get("/agents/<agent_id>/llm-config", responses=shows(NoLlmConfig, "Without its secrets"))
def get_llm_config(path: AgentPath) -> Response:
    """Which provider answers, without the secrets."""
    agent = agents.get(db(), workspace_id(), path.agent_id)
    return answer(agent_config.public(agent["llm_config"]))


@api.post("/agents/<agent_id>/llm-config/explain", responses=shows(Route, "The route"))
@tells(fails=(402,))
def explain_llm_config(path: AgentPath, body: Supposed) -> Response:
    """The route that a call would take now, whose keys it would use, its largest cost. No call is made."""
    agent = agents.ready(db(), workspace_id(), path.agent_id)
    return answer(door.explained(agent, body.asked()))
