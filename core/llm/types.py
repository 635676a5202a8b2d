"""What goes into the router and what comes out, in OpenAI's message format. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Document = dict[str, Any]

WireName = Literal["openai", "anthropic"]


@dataclass(frozen=True)
class Target:
    """One place a call may go: whose key, to which address.

    `key_kind`: `byokey` (the user's, at the vendor's address), `custom` (at an endpoint of the user's),
    `managed` (ours), `sandbox`.
    """

    provider: str
    model: str
    wire: WireName
    base_url: str
    api_key: str | None = field(repr=False)
    key_kind: str
    tier: str | None = None


@dataclass(frozen=True)
class ChatRequest:
    """A chat as asked for, its `messages` in OpenAI's format.

    `parameters`: those of `core.llm.parameters` that are set, by name.
    """

    messages: list[Document]
    system_prompt: str | None = None
    stream: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def with_system(self) -> list[Document]:
        """The messages, with the agent's system prompt in front unless they bring one."""
        if not self.system_prompt or any(m.get("role") in ("system", "developer") for m in self.messages):
            return self.messages
        return [{"role": "system", "content": self.system_prompt}, *self.messages]


@dataclass(frozen=True)
class Usage:
    """Tokens of one call. Cached, cache-written and reasoning tokens are parts of input and output."""

    tokens_input: int
    tokens_output: int
    tokens_cached: int = 0
    tokens_cache_write: int = 0
    tokens_reasoning: int = 0

    @property
    def tokens_total(self) -> int:
        return self.tokens_input + self.tokens_output

    def public(self) -> Document:
        return {
            "tokens_input": self.tokens_input,
            "tokens_output": self.tokens_output,
            "tokens_total": self.tokens_total,
            "tokens_cached": self.tokens_cached,
            "tokens_cache_write": self.tokens_cache_write,
            "tokens_reasoning": self.tokens_reasoning,
        }


@dataclass(frozen=True)
class ChatAnswer:
    """A provider's whole answer. `usage_status`: `reported`, or `estimated` where the provider told none."""

    message: Document
    finish_reason: str
    provider: str
    model: str
    usage: Usage
    usage_status: str
    usage_raw: Document | None = None
