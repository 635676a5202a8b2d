"""The shapes of what a provider said: messages, tokens, calls, and the result of a chat."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict

from core.llm.types import FinishReason
from web.shapes.base import Shape, maybe, say

CostStatus = Literal["known", "estimated", "unknown", "free"]


class CalledFunction(Shape):
    """The function of a tool call."""

    name: str = say("which function")
    arguments: str = say("its arguments: JSON, as the model wrote it")


class AnsweredToolCall(Shape):
    """A call that the model asks for; a vendor may add fields."""

    model_config = ConfigDict(extra="allow")
    id: str = say("which the tool's message names as `tool_call_id`")
    type: str = say("`function`, or `custom`")
    function: CalledFunction = maybe("of a call of the type `function`")
    custom: dict[str, Any] = maybe("of a call of the type `custom`")


class AnsweredMessage(Shape):
    """An assistant's message in OpenAI's format. Send it back as it is in a conversation."""

    role: Literal["assistant"] = say("always the assistant")
    content: str | None = say("the text; null where there are tool calls alone")
    tool_calls: list[AnsweredToolCall] | None = maybe("the calls that the model asks for")
    refusal: str | None = maybe("why the model will not answer")
    reasoning: str | None = maybe("what the model thought, as far as its provider tells")
    reasoning_details: list[dict[str, Any]] = maybe("OpenRouter's own form of it: send it back unchanged")
    reasoning_from: str = maybe("where the reasoning came from: send it back too")
    thinking_blocks: list[dict[str, Any]] = maybe("send them back unchanged after a tool call")
    logprobs: dict[str, Any] | None = maybe("the probabilities that `logprobs` asked for")
    annotations: list[dict[str, Any]] = maybe("citations")
    images: list[dict[str, Any]] = maybe("images that the model made")
    audio: dict[str, Any] = maybe("what the model said aloud; its transcript is the `content`")
    citations: list[str | dict[str, Any]] = maybe(
        "Perplexity's and xAI's: what the answer's numbers stand for"
    )
    search_results: list[str | dict[str, Any]] = maybe("the same, with titles and dates")


class Tokens(Shape):
    """Tokens, each counted once: those cached and those reasoned are parts of input and output."""

    tokens_input: int = say("of the request")
    tokens_output: int = say("of the answer")
    tokens_total: int = say("both together")
    tokens_cached: int = say("of the input, read from the provider's cache")
    tokens_cache_write: int = maybe("of the input, written to the provider's cache")
    tokens_reasoning: int = say("of the output, thought and not said")


class Call(Shape):
    """One call of a provider."""

    provider: str = say("who was asked")
    model: str = say("which of its models")
    outcome: str = say("`ok`, `in_flight`, `cancelled`, or the code of what went wrong")
    http_status: int | None = say("of the provider's answer; null: none came")
    latency_ms: int | None = say("from the request to the end of the answer")
    first_token_ms: int | None = maybe("to the first delta of an answer that was streamed")
    output_tokens_per_second: float | None = maybe("from the first delta to the end")
    provider_request_id: str | None = say("the provider's own name of this call")
    finish_reason: str = maybe("the provider's own word, where nobody knows it")


class JobCall(Call):
    """One call of a provider, as its job lists it."""

    attempt: int = say("the attempt of the job that made it")
    detail: str | None = say("the provider's words on what went wrong")


class Costs(Shape):
    """What something cost."""

    cost: float | None = say("USD; null: the price is not known")
    cost_status: CostStatus = say("how the cost is known; `free`: a custom endpoint, or the sandbox")


class ChatResult(Shape):
    """An answer. One that broke off is `partial`: the fields that need an end are absent."""

    message: AnsweredMessage | None = say("what was said; null: erased")
    finish_reason: FinishReason = maybe("why the answer ends")
    provider: str = maybe("who answered")
    model: str = maybe("which of its models")
    usage: Tokens = maybe("the tokens of the call that answered")
    service_tier: str = maybe("the provider's own name of the speed and price at which it answered")
    cost: float | None = maybe("USD, of all calls of the job; null: a price is not known")
    cost_status: CostStatus = maybe("how the cost is known")
    latency_ms: int = maybe("from the first call to the answer's end")
    calls: list[Call] = say("every call that this attempt made")
    dropped_turns: int = maybe("earlier turns of the conversation that did not fit")
    partial: Literal[True] = maybe("the answer broke off")


class TestResult(Costs):
    """The provider answers."""

    ok: Literal[True] = say("it does")
    provider: str = say("who answered")
    model: str = say("which of its models")
    latency_ms: int = say("how long it took")
