"""Gathers a streamed answer in Anthropic's format. Pure.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming, read 2026-11. Events and blocks that
are not known are passed over, as that page asks.
"""

from __future__ import annotations

import json
from typing import Any

from core.llm.plain import mapping, storable, text
from core.llm.types import Document, FinishReason, WireAnswer
from core.llm.wire.anthropic.answer import failure_inside, finish, message, usage


class Stream:
    """Gathers the events of a streamed answer. `feed` returns the deltas, in OpenAI's shape."""

    def __init__(self) -> None:
        self.blocks: dict[int, Document] = {}
        self.finish_reason: FinishReason | None = None
        self.usage_raw: Document | None = None
        self.done = False
        self._stop_details: Any = None
        self._calls = 0

    def feed(self, event: Any) -> list[Document]:
        """Raises a `ProviderError` for an error inside the stream."""
        failure = failure_inside(event)
        if failure is not None:
            raise failure
        event = mapping(event)
        kind = event.get("type")
        if kind == "message_start":
            self._use(mapping(event.get("message")).get("usage"))
        elif kind == "content_block_start":
            return self._start(event)
        elif kind == "content_block_delta":
            return self._delta(event)
        elif kind == "content_block_stop":
            return self._end(event)
        elif kind == "message_delta":
            self._use(event.get("usage"))
            self._stop(mapping(event.get("delta")))
        elif kind == "message_stop":
            self.done = True
        return []

    @property
    def complete(self) -> bool:
        return self.done or self.finish_reason is not None

    def answer(self) -> WireAnswer:
        """The same as `from_wire`, from the events so far."""
        blocks = [self.blocks[index] for index in sorted(self.blocks)]
        said = message(blocks, self._stop_details)
        return said, self.finish_reason, usage(self.usage_raw), self.usage_raw

    def _use(self, told: Any) -> None:
        """A later event tells the usage of the whole answer so far: it replaces what was told before."""
        known = {name: value for name, value in mapping(told).items() if value is not None}
        if known:
            self.usage_raw = {**(self.usage_raw or {}), **storable(known)}

    def _stop(self, delta: Document) -> None:
        self.finish_reason = finish(delta.get("stop_reason")) or self.finish_reason
        self._stop_details = delta.get("stop_details") or self._stop_details

    def _start(self, event: Document) -> list[Document]:
        given = mapping(event.get("content_block"))
        block: Document = {name: text(value) for name, value in given.items() if isinstance(value, str)}
        self.blocks[_index(event)] = block
        if block.get("type") == "tool_use":
            return [self._begin_call(block, mapping(given.get("input")))]
        return _said(block)

    def _begin_call(self, block: Document, whole: Document) -> Document:
        """The input of a call comes in pieces; some vendors that copy Anthropic send it whole, here."""
        block |= {"n": self._calls, "input": json.dumps(storable(whole)) if whole else ""}
        self._calls += 1
        function = {"name": block.get("name", ""), "arguments": block["input"]}
        return _call(
            {"index": block["n"], "id": block.get("id", ""), "type": "function", "function": function}
        )

    def _delta(self, event: Document) -> list[Document]:
        delta = mapping(event.get("delta"))
        block = self.blocks.get(_index(event))
        kind = delta.get("type")
        field = FIELDS.get(kind) if isinstance(kind, str) else None
        if block is None or field is None or block.get("type") != field[0]:
            return []
        _, name, source = field
        piece = text(delta.get(source))
        block[name] = block.get(name, "") + piece
        if name == "input":
            return [_call({"index": block["n"], "function": {"arguments": piece}})] if piece else []
        return _said({"type": block["type"], name: piece})

    def _end(self, event: Document) -> list[Document]:
        """A call without arguments gets an empty object, as OpenAI sends it."""
        block = self.blocks.get(_index(event), {})
        if block.get("type") != "tool_use" or block["input"]:
            return []
        block["input"] = "{}"
        return [_call({"index": block["n"], "function": {"arguments": "{}"}})]


# A delta's type: the type of block it belongs to, the block's field, the delta's field.
FIELDS = {
    "text_delta": ("text", "text", "text"),
    "thinking_delta": ("thinking", "thinking", "thinking"),
    "signature_delta": ("thinking", "signature", "signature"),
    "input_json_delta": ("tool_use", "input", "partial_json"),
}
KINDS = {"text": ("content", "text"), "thinking": ("reasoning", "thinking")}


def _said(block: Document) -> list[Document]:
    kind, field = KINDS.get(block.get("type", ""), ("", ""))
    return [{"type": kind, "content": block[field]}] if block.get(field) else []


def _call(piece: Document) -> Document:
    return {"type": "tool_call", "tool_call": piece}


def _index(event: Document) -> int:
    index = event.get("index")
    return index if isinstance(index, int) else 0
