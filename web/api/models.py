"""The bodies of agents and chats, as clients send them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, create_model, model_validator

from core.agents import fields
from core.agents.fields import Metadata, Name, Short, Url
from web.parameters import with_parameters
from web.resource import Model, example

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
    model_config = example(name="scout", llm_config={"provider": "sandbox"})
    name: Name


class AgentChanges(AgentFields):
    model_config = example(system_prompt="Be brief.")
    name: Name = ""


class Message(Model):
    """A message in OpenAI's format, images and tool results included."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[ContentPart] | None = None
    name: Short | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = Field(None, description="`reasoning`, as the OpenAI door spells it")
    logprobs: dict[str, Any] | None = Field(None, description="as an answer carried them; not sent on")
    reasoning_details: list[dict[str, Any]] | None = Field(
        None, description="OpenRouter's, as an answer carried them: send them back unchanged"
    )
    reasoning_from: Short | None = Field(None, description="where the reasoning came from: send it back too")
    thinking_blocks: list[dict[str, Any]] | None = Field(
        None, description="as an answer carried them: send them back unchanged after a tool call"
    )

    @model_validator(mode="after")
    def _says_something(self) -> Message:
        if self.content is None and not self.tool_calls and not self.refusal:
            raise ValueError("a message needs `content`")
        if self.role == "tool" and self.tool_call_id is None:
            raise ValueError("a tool's message needs `tool_call_id`")
        return self


class ContentPart(BaseModel):
    """One part of a message: `{"type": "text", "text": …}`, `{"type": "image_url", …}` and the like."""

    model_config = ConfigDict(extra="allow", strict=True, hide_input_in_errors=True)
    type: Short


class Function(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, hide_input_in_errors=True)
    name: Short
    arguments: str


class ToolCall(BaseModel):
    """A call that the model asked for, with the fields that a vendor adds."""

    model_config = ConfigDict(extra="allow", strict=True, hide_input_in_errors=True)
    id: str
    type: str = "function"
    function: Function


class Said(Model):
    message: Annotated[str, StringConstraints(min_length=1)] | None = None
    messages: Annotated[list[Message], Field(min_length=1)] | None = None
    conversation_id: ConversationId | None = None


class Chat(with_parameters(Said)):  # type: ignore[misc] # each parameter is a field
    """`message`, or `messages` in OpenAI's format."""

    model_config = example(message="Hello!")

    stream: bool = False
    metadata: Metadata = Field(default_factory=dict)
    callback_url: Url | None = None

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
