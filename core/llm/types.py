"""What goes into the router and what comes out, in OpenAI's message format. Pure data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, TypedDict

Document = dict[str, Any]

WireName = Literal["openai", "anthropic", "responses"]
KeyKind = Literal["byokey", "custom", "managed", "sandbox"]
"""`byokey`: the user's, at the vendor's address. `custom`: at an endpoint of the user's. `managed`: ours."""
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]
Dispensable = Literal["stream_options", "reasoning", "bare_turns"]
"""What a call can do without: see `core.llm.dispensable`."""
UsageStatus = Literal["reported", "estimated"]
"""`estimated`: the provider told no usage, or its answer broke off before it could."""


@dataclass(frozen=True)
class Target:
    """One place that a call may go to: a model at an address, and the key for it.

    `wire_given`: the user said so, and `core.llm.families` chooses no other. `without`: what it is not sent.
    `take`: gives the key that it has when it is called; None: `api_key` is all there is.
    """

    provider: str
    model: str
    wire: WireName
    base_url: str
    api_key: str | None = field(repr=False)
    key_kind: KeyKind
    tier: str | None = None
    wire_given: bool = False
    without: frozenset[Dispensable] = frozenset()
    take: Callable[[], str | None] | None = field(default=None, repr=False, compare=False)

    def with_key(self) -> Target:
        """The target with the key that it has now. Raises `core.llm.failures.KeyGone`."""
        return self if self.take is None else replace(self, api_key=self.take())


@dataclass(frozen=True)
class ChatRequest:
    """A chat as asked for, its `messages` in OpenAI's format.

    `parameters`: those of `core.llm.parameters` that are set, by name. `preset`: which of them the agent set,
    and not the chat. `cache_key`: the same for requests that begin alike.
    """

    messages: list[Document]
    system_prompt: str | None = None
    stream: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)
    cache_key: str | None = None
    preset: frozenset[str] = frozenset()

    def with_system(self) -> list[Document]:
        """The messages; the agent's system prompt is put in front, unless they bring one."""
        if not self.system_prompt or any(m.get("role") in ("system", "developer") for m in self.messages):
            return self.messages
        return [{"role": "system", "content": self.system_prompt}, *self.messages]

    def said_to(self, target: Target) -> list[Document]:
        """The same, without the thinking blocks for an endpoint that cannot open them."""
        said = self.with_system()
        if "reasoning" not in target.without:
            return said
        return [{k: v for k, v in message.items() if k != "thinking_blocks"} for message in said]


class UsageRecord(TypedDict):
    """A `Usage` as jobs and clients see it."""

    tokens_input: int
    tokens_output: int
    tokens_total: int
    tokens_cached: int
    tokens_cache_write: int
    tokens_reasoning: int


@dataclass(frozen=True)
class Usage:
    """Tokens of one call. Cached, cache-written and reasoning tokens are parts of input and output.

    `untold`: which of `tokens_input` and `tokens_output` the provider did not tell; it is 0 here. `together`:
    what it told of both alone.
    """

    tokens_input: int
    tokens_output: int
    tokens_cached: int = 0
    tokens_cache_write: int = 0
    tokens_reasoning: int = 0
    untold: tuple[str, ...] = ()
    together: int | None = None

    @property
    def tokens_total(self) -> int:
        return self.tokens_input + self.tokens_output

    def public(self) -> UsageRecord:
        return {
            "tokens_input": self.tokens_input,
            "tokens_output": self.tokens_output,
            "tokens_total": self.tokens_total,
            "tokens_cached": self.tokens_cached,
            "tokens_cache_write": self.tokens_cache_write,
            "tokens_reasoning": self.tokens_reasoning,
        }


class WireAnswer(NamedTuple):
    """What a wire makes of an answer. `usage_raw`: as the provider told it.

    `finish_reason`: a `FinishReason`, or the provider's own word if the wire does not know it. `unknown`: the
    types of parts that are not understood.
    """

    message: Document
    finish_reason: str | None
    usage: Usage | None
    usage_raw: Document | None
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChatAnswer:
    """A provider's whole answer."""

    message: Document
    finish_reason: FinishReason
    provider: str
    model: str
    usage: Usage
    usage_status: UsageStatus
    usage_raw: Document | None = None
