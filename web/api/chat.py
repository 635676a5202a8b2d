"""Asking an agent: a chat and a connection test, each a job."""

from __future__ import annotations

from flask import Response

from core import retention
from core.agents import agents
from core.chat.chat import TEST
from web.access import access
from web.api.models import Chat
from web.context import db, services, workspace_id
from web.doors import work
from web.resource import AgentPath, Nothing, resource
from web.shapes.jobs import OF_KIND
from web.specification.says import MAKES_A_JOB, accepts, tells

api = resource("chat", "Asking an agent")


@api.post("/agents/<agent_id>/chat", responses=accepts(OF_KIND["chat"]))
@access(agent=True)
@tells(takes=MAKES_A_JOB, fails=(402,))
def chat(path: AgentPath, body: Chat) -> Response:
    """Ask an agent. The answer is a job; `Prefer: wait=N` waits for its end."""
    agent = work.agent_known(path.agent_id)
    if body.conversation_id is not None:
        retention.check_remembers(agent, services().settings)
    mark = work.idempotency(f"chat/{path.agent_id}")
    draft = work.draft("chat", agent, body.asked(), idempotency=mark)
    return work.started(work.accepted(draft, agent)[0])


@api.post("/agents/<agent_id>/llm-test", responses=accepts(OF_KIND["llm_test"]))
@tells(takes=MAKES_A_JOB, fails=(402,))
def llm_test(path: AgentPath, body: Nothing) -> Response:
    """One tiny call: does this agent's provider answer?"""
    agent = agents.get(db(), workspace_id(), path.agent_id)
    mark = work.idempotency(f"llm-test/{path.agent_id}")
    draft = work.draft("llm_test", agent, TEST, idempotency=mark)
    return work.started(work.accepted(draft, agent)[0])
