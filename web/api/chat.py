"""Asking an agent: a chat and a connection test, each a job."""

from __future__ import annotations

from flask import Response
from flask_openapi.types import ResponseDict

from core import retention
from core.agents import agents
from core.chat.chat import TEST
from web.access import access
from web.api.models import Chat
from web.context import db, services, workspace_id
from web.doors import work
from web.resource import AgentPath, Nothing, resource

api = resource("chat", "Asking an agent")

JOB: ResponseDict = {
    "200": {"description": "The finished job (with `Prefer: wait=N`)"},
    "202": {"description": "The job"},
}


@api.post("/agents/<agent_id>/chat", responses=JOB)
@access(agent=True)
def chat(path: AgentPath, body: Chat) -> Response:
    """Ask an agent. The answer is a job; `Prefer: wait=N` waits for its end."""
    agent = work.agent_known(path.agent_id)
    if body.conversation_id is not None:
        retention.check_remembers(agent, services().settings)
    mark = work.idempotency(f"chat/{path.agent_id}")
    draft = work.draft("chat", agent, body.asked(), idempotency=mark)
    return work.started(work.accepted(draft, agent)[0])


@api.post("/agents/<agent_id>/llm-test", responses=JOB)
def llm_test(path: AgentPath, body: Nothing) -> Response:
    """One tiny call: does this agent's provider answer?"""
    agent = agents.get(db(), workspace_id(), path.agent_id)
    mark = work.idempotency(f"llm-test/{path.agent_id}")
    draft = work.draft("llm_test", agent, TEST, idempotency=mark)
    return work.started(work.accepted(draft, agent)[0])
