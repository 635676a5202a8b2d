"""Gathers a streamed answer in Anthropic's format. Pure.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming, read 2026-11. Events and blocks that
are not known are passed over, as that page asks.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from core.llm.plain import mapping, storable, text
from core.llm.types import Document, WireAnswer
from core.llm.wire import counts
from core.llm.wire.anthropic.answer import failure_inside, finish, message, unknown, usage
from core.llm.wire.halves import Text
from core.llm.wire.ids import own_id


class Stream:
    """Gathers the events of a streamed answer. `feed` returns the deltas, in OpenAI's shape."""

    def __init__(self) -> None:
        self.blocks: dict[int, Document] = {}
        self._texts: dict[int, Text] = {}
        self._at: dict[Any, int] = {}
        self.finish_reason: str | None = None
        self.usage_raw: Document | None = None
        self.done = False
        self._stop_details: Any = None
        self._counted = False
        self._calls = 0
        self._ids: set[str] = set()

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
            self._counted = True
            self._use(event.get("usage"))
            self._stop(mapping(event.get("delta")))
        elif kind == "message_stop":
            self.done = True
        return []

    @property
    def complete(self) -> bool:
        return self.done or self.finish_reason is not None

    def end(self) -> list[Document]:
        """The deltas of what was held back."""
        return [delta for place in self.blocks for delta in self._closed(place)]

    def answer(self) -> WireAnswer:
        """The same as `from_wire`, from the events so far."""
        blocks = [self.blocks[index] for index in sorted(self.blocks)]
        said, told = message(blocks, self._stop_details), usage(self.usage_raw)
        if told is not None and not self._counted:  # at its beginning a message has said one token, or a few
            told = replace(told, tokens_output=0, untold=("tokens_output",))
        return WireAnswer(said, self.finish_reason, told, self.usage_raw, unknown(blocks))

    def _use(self, told: Any) -> None:
        """A later event tells the usage of the whole answer so far."""
        if mapping(told):
            self.usage_raw = counts.later(self.usage_raw, mapping(told))

    def _stop(self, delta: Document) -> None:
        self.finish_reason = finish(delta.get("stop_reason")) or self.finish_reason
        self._stop_details = delta.get("stop_details") or self._stop_details

    def _start(self, event: Document) -> list[Document]:
        given = mapping(event.get("content_block"))
        block: Document = {name: text(value) for name, value in given.items() if isinstance(value, str)}
        place = len(self.blocks)  # a vendor that copies Anthropic may give all blocks the same index
        self._at[_index(event)], self.blocks[place], self._texts[place] = place, block, Text()
        if block.get("type") == "tool_use":
            return [self._begin_call(block, mapping(given.get("input")))]
        return _said(block)

    def _begin_call(self, block: Document, whole: Document) -> Document:
        """The input of a call comes in pieces; some vendors that copy Anthropic send it whole, here."""
        block |= {
            "id": own_id(block.get("id"), self._ids),
            "n": self._calls,
            "input": json.dumps(storable(whole)) if whole else "",
        }
        self._calls += 1
        self._ids.add(block["id"])
        function = {"name": block.get("name", ""), "arguments": block["input"]}
        return _call({"index": block["n"], "id": block["id"], "type": "function", "function": function})

    def _delta(self, event: Document) -> list[Document]:
        delta = mapping(event.get("delta"))
        place = self._at.get(_index(event), -1)
        block = self.blocks.get(place)
        kind = delta.get("type")
        field = FIELDS.get(kind) if isinstance(kind, str) else None
        if block is None or field is None or block.get("type") != field[0]:
            return []
        _, name, source = field
        if name == "signature":
            block[name] = block.get(name, "") + text(delta.get(source))
            return []
        return _more(block, name, self._texts[place].feed(delta.get(source)))

    def _end(self, event: Document) -> list[Document]:
        return self._closed(self._at.get(_index(event), -1))

    def _closed(self, place: int) -> list[Document]:
        """A call without arguments gets an empty object, as OpenAI sends it."""
        block = self.blocks.get(place, {})
        name = STREAMED.get(block.get("type", ""))
        if name is None:
            return []
        rest = self._texts[place].close()
        if name == "input" and not (block["input"] + rest).strip():
            rest += "{}"
        return _more(block, name, rest)


# A delta's type: the type of block it belongs to, the block's field, the delta's field.
FIELDS = {
    "text_delta": ("text", "text", "text"),
    "thinking_delta": ("thinking", "thinking", "thinking"),
    "signature_delta": ("thinking", "signature", "signature"),
    "input_json_delta": ("tool_use", "input", "partial_json"),
}
STREAMED = {"text": "text", "thinking": "thinking", "tool_use": "input"}
KINDS = {"text": ("content", "text"), "thinking": ("reasoning", "thinking")}


def _said(block: Document) -> list[Document]:
    kind, field = KINDS.get(block.get("type", ""), ("", ""))
    return [{"type": kind, "content": block[field]}] if block.get(field) else []


def _more(block: Document, name: str, piece: str) -> list[Document]:
    """Adds a piece to a block; the delta that it is."""
    block[name] = block.get(name, "") + piece
    if name == "input":
        return [_call({"index": block["n"], "function": {"arguments": piece}})] if piece else []
    return _said({"type": block["type"], name: piece})


def _call(piece: Document) -> Document:
    return {"type": "tool_call", "tool_call": piece}


def _index(event: Document) -> int:
    index = event.get("index")
    return index if isinstance(index, int) else 0
