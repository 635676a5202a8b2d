"""The messages of a chat, as clients send them in OpenAI's format: by the API and by the OpenAI door."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.agents.fields import Short
from web.resource import MANY, Model

AS_ANSWERED = "as an answer carried them; not sent on"
AS_IT_IS = "goes to the provider as it is"
NOTHING = "null alone, as OpenAI's SDKs write it into each message"
WAITS = "`background` waits while anything interactive can be served; absent: interactive"
Priority = Literal["interactive", "background"]
Listed = Annotated[list[dict[str, Any]], MANY]
LENIENT = ConfigDict(extra="allow", strict=True, hide_input_in_errors=True)


class Message(Model):
    """A message in OpenAI's format, images and tool results included."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | Annotated[list[ContentPart], MANY] | None = None
    name: Short | None = None
    tool_calls: Annotated[list[ToolCall], MANY] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = Field(None, description="`reasoning`, as the OpenAI door spells it")
    logprobs: dict[str, Any] | None = Field(None, description=AS_ANSWERED)
    reasoning_details: Listed | None = Field(
        None, description="OpenRouter's, as an answer carried them: send them back unchanged"
    )
    annotations: Listed | None = Field(None, description=AS_ANSWERED)
    images: Listed | None = Field(None, description=AS_ANSWERED)
    citations: Annotated[list[str | dict[str, Any]], MANY] | None = Field(None, description=AS_ANSWERED)
    search_results: Annotated[list[str | dict[str, Any]], MANY] | None = Field(None, description=AS_ANSWERED)
    reasoning_from: Short | None = Field(None, description="where the reasoning came from: send it back too")
    thinking_blocks: Listed | None = Field(
        None, description="as an answer carried them: send them back unchanged after a tool call"
    )

    audio: dict[str, Any] | None = Field(None, description="as an answer carried it, or its `id` alone")
    function_call: None = Field(None, description=NOTHING)

    @model_validator(mode="after")
    def _says_something(self) -> Message:
        if self.content is None and not self.tool_calls and not self.refusal:
            raise ValueError("a message needs `content`")
        if self.role == "tool" and self.tool_call_id is None:
            raise ValueError("a tool's message needs `tool_call_id`")
        return self


class MessageAtTheDoor(Message):
    """The same rules; fields that nobody here knows go to the provider as they are."""

    model_config = LENIENT
    audio: Any = Field(None, description=AS_IT_IS)
    function_call: Any = Field(None, description=AS_IT_IS)


class ContentPart(BaseModel):
    """One part of a message: `{"type": "text", "text": …}`, `{"type": "image_url", …}` and the like."""

    model_config = LENIENT
    type: Short


class Function(BaseModel):
    """The function of a call."""

    model_config = LENIENT
    name: Short
    arguments: str


class ToolCall(BaseModel):
    """A call that the model asked for, with the fields that a vendor adds."""

    model_config = LENIENT
    id: str
    type: str = "function"
    function: Function | None = None
    custom: dict[str, Any] | None = Field(None, description="of a call of the type `custom`")

    @model_validator(mode="after")
    def _names_a_tool(self) -> ToolCall:
        if self.function is None and self.custom is None:
            raise ValueError("a call needs `function`, with a name and arguments")
        return self
