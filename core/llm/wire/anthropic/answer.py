"""From Anthropic's answer to a message, its tokens, or the failure within. Pure."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from core.llm import classify
from core.llm.failures import ProviderBusy, ProviderError
from core.llm.plain import count, mapping, mappings, storable, text
from core.llm.types import Document, FinishReason, Usage, WireAnswer
from core.llm.wire import counts
from core.llm.wire.anthropic.thinking import signed, thoughts
from core.llm.wire.ids import own_id

# All that the anthropic SDK's type `StopReason` knows (2.12.0, 2026-11).
FINISHES: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",  # only with tools that Anthropic runs itself, which are never asked for
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}

BLOCKS = frozenset({"text", "tool_use", "thinking", "redacted_thinking"})
EVENTS = (
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "ping",
)


def failure_inside(body: Any) -> ProviderError | None:
    inside = classify.by_error_inside(body)
    known = isinstance(mapping(body).get("content"), list) or mapping(body).get("type") in EVENTS
    return inside if inside or known else classify.by_error_alone(body)


def from_wire(body: Any) -> WireAnswer:
    """What an answer in one piece says. Raises `ProviderBusy` for a body that is no answer."""
    body = mapping(body)
    if not isinstance(body.get("content"), list):
        raise ProviderBusy("the provider's answer is not a message", http_status=200)
    raw = counts.told(body)
    return WireAnswer(
        message(mappings(body["content"]), body.get("stop_details")),
        finish(body.get("stop_reason")),
        usage(raw),
        raw,
        unknown(mappings(body["content"])),
    )


def unknown(blocks: list[Document]) -> tuple[str, ...]:
    """The types of blocks that are not understood."""
    kinds = (text(block.get("type")) or "untyped" for block in blocks)
    return tuple(kind for kind in kinds if kind not in BLOCKS)


def usage(raw: Any) -> Usage | None:
    """Input is the sum of the tokens read anew, those written to the cache and those read from it."""
    raw = mapping(raw)
    fresh, said = count(raw.get("input_tokens")), count(raw.get("output_tokens"))
    if fresh is None and said is None:
        return None
    written = count(raw.get("cache_creation_input_tokens")) or 0
    cached = count(raw.get("cache_read_input_tokens")) or 0
    thought = count(mapping(raw.get("output_tokens_details")).get("thinking_tokens")) or 0
    counted = counts.known(
        tokens_input=None if fresh is None else fresh + written + cached, tokens_output=said
    )
    if fresh is None:
        return counted
    return replace(
        counted,
        tokens_cached=cached,
        tokens_cache_write=written,
        tokens_reasoning=min(thought, counted.tokens_output),
    )


def finish(stop_reason: Any) -> str | None:
    said = text(stop_reason)
    return FINISHES.get(said, said) or None


def message(blocks: list[Document], stop_details: Any = None) -> Document:
    """An assistant's message in our form. Its `thinking_blocks` go back unchanged in the next turn."""
    content = "".join(text(block.get("text")) for block in blocks if block.get("type") == "text")
    calls: list[Document] = []
    taken: set[str] = set()
    for block in blocks:
        if block.get("type") == "tool_use":
            calls.append(_tool_call(block, taken))
            taken.add(calls[-1]["id"])
    said: Document = {
        "role": "assistant",
        "content": content or (None if calls else ""),
        "tool_calls": calls or None,
    }
    if reasoning := thoughts(blocks):
        said["reasoning"] = reasoning
    if kept := signed(blocks):
        said["thinking_blocks"] = kept
    if refusal := text(mapping(stop_details).get("explanation")):
        said["refusal"] = refusal
    return said


def _tool_call(block: Document, taken: set[str]) -> Document:
    """`input` is an object; in a stream, the text of one. `taken`: the ids of other calls."""
    given = block.get("input")
    arguments = text(given) if isinstance(given, str) else json.dumps(storable(mapping(given)))
    function = {"name": text(block.get("name")), "arguments": arguments or "{}"}
    return {"id": own_id(block.get("id"), taken), "type": "function", "function": function}
