"""The shapes of the OpenAI-compatible door, as OpenAI's documentation has them (read 2026-11)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict

from core.llm.types import FinishReason
from web.shapes.base import Shape, maybe, say
from web.shapes.chats import AnsweredToolCall


class CompletionMessage(Shape):
    """What was said."""

    model_config = ConfigDict(extra="allow")
    role: Literal["assistant"] = say("always the assistant")
    content: str | None = say("the text; null where there are tool calls alone")
    refusal: str | None = say("why the model will not answer")
    tool_calls: list[AnsweredToolCall] = maybe("the calls that the model asks for")
    reasoning_content: str = maybe("what the model thought, as far as its provider tells")


class Choice(Shape):
    """The one choice."""

    index: Literal[0] = say("there is one")
    message: CompletionMessage = say("what was said")
    logprobs: dict[str, Any] | None = say("the probabilities that `logprobs` asked for")
    finish_reason: FinishReason = say("why the answer ends")


class PromptTokens(Shape):
    """Parts of `prompt_tokens`."""

    cached_tokens: int = say("read from the provider's cache")
    cache_write_tokens: int = say("written to the provider's cache")


class CompletionTokens(Shape):
    """Parts of `completion_tokens`."""

    reasoning_tokens: int = say("thought and not said")


class CompletionUsage(Shape):
    """Tokens, and what they cost."""

    prompt_tokens: int = say("of the request")
    completion_tokens: int = say("of the answer")
    total_tokens: int = say("both together")
    prompt_tokens_details: PromptTokens = say("parts of `prompt_tokens`")
    completion_tokens_details: CompletionTokens = say("parts of `completion_tokens`")
    cost: float | None = say("USD; null: the price is not known")


class ChatCompletion(Shape):
    """A completion. A stream has chunks instead, and ends with `data: [DONE]`."""

    id: str = say("`chatcmpl-` and the job's id")
    object: Literal["chat.completion"] = say("what this is")
    created: int = say("when, in seconds since 1970")
    model: str = say("the agent, as the request named it")
    choices: list[Choice] = say("always one")
    usage: CompletionUsage = say("tokens, and what they cost")
    service_tier: str = maybe("the provider's own name of the speed and price at which it answered")
    citations: list[str | dict[str, Any]] = maybe("the message's, where Perplexity and xAI have them")
    search_results: list[str | dict[str, Any]] = maybe("the message's too")


class Model(Shape):
    """An agent, as a model."""

    id: str = say("what `model` may say")
    object: Literal["model"] = say("what this is")
    created: int = say("when, in seconds since 1970")
    owned_by: Literal["vutler"] = say("this server")
    agent_id: str = say("what `model` may say as well")


class Models(Shape):
    """The agents, as models."""

    object: Literal["list"] = say("what this is")
    data: list[Model] = say("the newest first")


class DoorError(Shape):
    """What went wrong."""

    message: str = say("in words")
    type: str = say("the kind of error, as OpenAI has it")
    param: str | None = say("the place in the request")
    code: str | None = say("the kind of error, for machines")


class OpenAIError(Shape):
    """An error in OpenAI's shape."""

    error: DoorError = say("what went wrong")
