"""The bodies of agents and chats, as clients send them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import to_json

from core.llm.parameters import PRESETS
from web.parameters import with_parameters
from web.resource import Model, example

MOST_METADATA = 16 * 1024


def _small(metadata: dict[str, Any]) -> dict[str, Any]:
    if len(to_json(metadata)) > MOST_METADATA:
        raise ValueError(f"at most {MOST_METADATA} bytes")
    return metadata


Metadata = Annotated[dict[str, Any], AfterValidator(_small)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^\S(.*\S)?$")]
Short = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Url = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"^https?://[^\s]+$")]
ProviderKey = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,4096}$")]
LimitPolicy = Literal["log", "block"]
"""What becomes of calls once a tier's allowance is used up."""
ConversationId = Annotated[str, StringConstraints(max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@-]*$")]


class Fallback(Model):
    provider: Short
    model: Short | None = None


class Route(Model):
    provider: Short | None = None
    model: Short | None = None
    api_key: ProviderKey | None = None
    custom_endpoint: Url | None = None
    credential: Short | None = None
    managed: bool = False
    tier: Short | None = None


class LlmConfig(with_parameters(Route, PRESETS)):  # type: ignore[misc] # each preset parameter is a field
    """Which provider answers, with whose key. An absent `api_key` keeps the stored one; null removes it."""

    model_config = example(provider="sandbox")

    fallback: list[Fallback] | None = Field(default=None, max_length=10)
    keys: dict[Short, ProviderKey | None] | None = None
    allow_managed_fallback: bool = False
    content_fallback: bool = Field(False, description="what one provider's policy refuses, ask the next")


class AgentFields(Model):
    email: Annotated[str, StringConstraints(max_length=320, pattern=r"^[^@\s]+@[^@\s]+$")] | None = None
    description: Annotated[str, StringConstraints(max_length=10_000)] | None = None
    system_prompt: Annotated[str, StringConstraints(max_length=1_000_000)] | None = None
    tools: list[Short] = Field(default=[], max_length=200)
    metadata: Metadata = Field(default_factory=dict)
    on_worker_loss: Literal["retry", "fail"] = "retry"
    content_retention: Annotated[str, StringConstraints(pattern=r"^(none|done|\d{1,4})$")] | None = None
    limit_policy: LimitPolicy | None = Field(None, description="null: the workspace's")
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
    thinking_blocks: list[dict[str, Any]] | None = Field(
        None, description="Anthropic's, as an answer carried them: send them back unchanged after a tool call"
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
    """A call that the model asked for; what a vendor adds to it is kept."""

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
        """The request as a job keeps it: always `messages`."""
        given = self.given()
        text = given.pop("message", None)
        if text is not None:
            given["messages"] = [{"role": "user", "content": text}]
        return {name: value for name, value in given.items() if value is not None}


class Supposed(Chat):
    """A chat that is not made: what it would say may be left out."""

    model_config = example(message="Hello!", max_tokens=500)

    @model_validator(mode="after")
    def _one_of_them(self) -> Supposed:
        if self.message is not None and self.messages is not None:
            raise ValueError("give either `message` or `messages`")
        return self
