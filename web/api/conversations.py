"""An agent's conversations: what was said, and erasing it."""

from __future__ import annotations

from flask import Response

from core.agents import agents
from core.chat import conversations
from core.documents import Agent
from web.answers import listed, nothing
from web.context import db, services, workspace_id
from web.resource import AgentPath, Id, PageQuery, resource
from web.shapes.agents import Conversation, Turn
from web.shapes.base import page
from web.specification.says import shows

api = resource("conversations", "What was said to an agent, and by it")


class ConversationPath(AgentPath):
    conversation_id: Id


@api.get("/agents/<agent_id>/conversations", responses=shows(page(Conversation), "A page, newest first"))
def list_conversations(path: AgentPath, query: PageQuery) -> Response:
    """The agent's conversations. One begins with the first chat that names it."""
    items, cursor = conversations.page(db(), _agent(path), limit=query.limit, cursor=query.cursor)
    return listed(map(conversations.public, items), cursor)


@api.get(
    "/agents/<agent_id>/conversations/<conversation_id>",
    responses=shows(page(Turn), "A page of turns, newest first"),
)
def get_conversation(path: ConversationPath, query: PageQuery) -> Response:
    """The chats of a conversation: what was asked, and the answer."""
    conversation = conversations.get(db(), _agent(path), path.conversation_id)
    items, cursor = conversations.turns_page(db(), conversation, limit=query.limit, cursor=query.cursor)
    return listed(map(conversations.public_turn, items), cursor)


@api.delete("/agents/<agent_id>/conversations", responses={"204": {"description": "Erased"}})
def delete_conversations(path: AgentPath) -> Response:
    """Erase all of the agent's conversations: what was said in their jobs; the accounting stays."""
    conversations.delete_all(db(), services().redis, _agent(path)["_id"])
    return nothing()


@api.delete(
    "/agents/<agent_id>/conversations/<conversation_id>", responses={"204": {"description": "Erased"}}
)
def delete_conversation(path: ConversationPath) -> Response:
    """Erase a conversation: what was said in its jobs; the accounting stays."""
    conversation = conversations.get(db(), _agent(path), path.conversation_id)
    conversations.delete(db(), services().redis, conversation)
    return nothing()


def _agent(path: AgentPath) -> Agent:
    return agents.get(db(), workspace_id(), path.agent_id)
