"""The bodies of agents and chats, as clients send them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field, StringConstraints, create_model, model_validator

from core.agents import fields
from core.agents.fields import Metadata, Name, Short, Url
from web.messages import WAITS, Message, Priority
from web.parameters import with_parameters
from web.resource import MOST_ITEMS, Model, example

ProviderKey = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,4096}$")]
ConversationId = Annotated[str, StringConstraints(max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@-]*$")]


def _with(rows: Iterable[fields.Row]) -> Any:
    """A base for bodies that have these fields, all optional."""
    found: dict[str, Any] = {
        row.name: (row.type, Field(row.default, description=row.description)) for row in rows
    }
    return create_model("Fields", __base__=Model, **found)


class LlmConfig(_with(fields.LLM_CONFIG)):  # type: ignore[misc] # each row is a field
    """Which provider answers, with whose key. An absent `api_key` keeps the stored one; null removes it."""

    model_config = example(provider="sandbox")
    api_key: ProviderKey | None = None
    keys: dict[Short, ProviderKey | None] | None = None


class AgentFields(_with(fields.AGENT)):  # type: ignore[misc]
    llm_config: LlmConfig | None = None


class NewAgent(AgentFields):
    """An agent to be made."""

    model_config = example(name="scout", llm_config={"provider": "sandbox"})
    name: Name


class AgentChanges(AgentFields):
    """What is to change of an agent; what is not named stays."""

    model_config = example(system_prompt="Be brief.")
    name: Name = ""


class Said(Model):
    message: Annotated[str, StringConstraints(min_length=1)] | None = None
    messages: Annotated[list[Message], Field(min_length=1, max_length=MOST_ITEMS)] | None = None
    conversation_id: ConversationId | None = None


class Chat(with_parameters(Said)):  # type: ignore[misc] # each parameter is a field
    """`message`, or `messages` in OpenAI's format."""

    model_config = example(message="Hello!")

    stream: bool = False
    metadata: Metadata = Field(default_factory=dict)
    callback_url: Url | None = None
    priority: Priority = Field("interactive", description=WAITS)

    @model_validator(mode="after")
    def _one_of_them(self) -> Chat:
        if (self.message is None) == (self.messages is None):
            raise ValueError("give either `message` or `messages`")
        return self

    def asked(self) -> dict[str, Any]:
        """The request as a job keeps it: with `messages`, also where the client sent `message`."""
        given = self.given()
        text = given.pop("message", None)
        if text is not None:
            given["messages"] = [{"role": "user", "content": text}]
        return {name: value for name, value in given.items() if value is not None}


class Supposed(Chat):
    """A chat that is only supposed: it needs no messages."""

    model_config = example(message="Hello!", max_tokens=500)

    @model_validator(mode="after")
    def _one_of_them(self) -> Supposed:
        if self.message is not None and self.messages is not None:
            raise ValueError("give either `message` or `messages`")
        return self
