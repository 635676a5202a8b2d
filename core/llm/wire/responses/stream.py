"""Gathers a streamed response. Pure.

Source: https://developers.openai.com/api/reference/resources/responses/streaming-events, read 2026-11. An
item is announced, its text comes in deltas, and it is told whole when it is done: the deltas are what was
said, the whole brings what they left out. Events that are not known are passed over.
"""

from __future__ import annotations

from typing import Any

from core.ids import new_call_id
from core.llm.plain import mapping, mappings, text
from core.llm.types import Document, FinishReason, WireAnswer
from core.llm.wire import counts
from core.llm.wire.halves import Text
from core.llm.wire.responses.answer import (
    SEPARATORS,
    Words,
    failure_inside,
    finish,
    message,
    unknown,
    usage,
    words,
)

# The type of an event: the type of the item that it belongs to, the kind of its words.
DELTAS = {
    "response.output_text.delta": ("message", "output_text"),
    "response.refusal.delta": ("message", "refusal"),
    "response.reasoning_summary_text.delta": ("reasoning", "summary_text"),
    "response.reasoning_text.delta": ("reasoning", "reasoning_text"),
    "response.function_call_arguments.delta": ("function_call", "arguments"),
}
EMITTED = {"output_text": "content", "summary_text": "reasoning", "reasoning_text": "reasoning"}
ENDS = ("response.completed", "response.incomplete", "response.failed")


class Stream:
    """Gathers the events of a streamed response. `feed` returns the deltas, in OpenAI's shape."""

    def __init__(self) -> None:
        self.items: dict[int, Document] = {}
        self.said: dict[int, dict[str, list[str]]] = {}
        self.calls: list[int] = []
        self.finish_reason: FinishReason | None = None
        self.usage_raw: Document | None = None
        self.done = False
        self._part: tuple[Any, ...] = ()
        self._texts: dict[tuple[int, str], Text] = {}

    def feed(self, event: Any) -> list[Document]:
        """Raises a `ProviderError` for an error inside the stream."""
        event = mapping(event)
        kind = event.get("type")
        if kind in ENDS:
            self.usage_raw = counts.told(event.get("response"))
        failure = failure_inside(event.get("response") if kind in ENDS else event)
        if failure is not None:
            raise failure
        if kind in ENDS:
            return self._end(mapping(event.get("response")))
        if kind == "response.output_item.added":
            return self._begin(_index(event), mapping(event.get("item")))
        if kind == "response.output_item.done":
            return self._whole(_index(event), mapping(event.get("item")))
        if kind == "response.function_call_arguments.done":
            return self._rest(_index(event), "arguments", text(event.get("arguments")))
        return self._delta(event, *DELTAS[kind]) if isinstance(kind, str) and kind in DELTAS else []

    @property
    def complete(self) -> bool:
        return self.done

    def end(self) -> list[Document]:
        """Nothing is held back: each item was told whole."""
        return []

    def answer(self) -> WireAnswer:
        """The same as `from_wire`, from the events so far."""
        found = [(self.items[index], self._words(index)) for index in sorted(self.items)]
        said = message(found)
        reason: FinishReason | None = self.finish_reason
        if reason == "stop" and said["tool_calls"]:
            reason = "tool_calls"
        return WireAnswer(said, reason, usage(self.usage_raw), self.usage_raw, unknown(found))

    def _begin(self, index: int, item: Document) -> list[Document]:
        """What is sealed is not yet whole."""
        self.items[index] = {name: value for name, value in item.items() if name != "encrypted_content"}
        if item.get("type") != "function_call":
            return []
        self.calls.append(index)
        self.items[index]["call_id"] = id = text(item.get("call_id")) or new_call_id()
        function = {"name": text(item.get("name")), "arguments": ""}
        return [self._call(index, {"id": id, "type": "function", "function": function})]

    def _delta(self, event: Document, of: str, kind: str) -> list[Document]:
        """The words of a call that was not announced are told with the whole."""
        index = _index(event)
        if index not in self.items and of != "function_call":
            self.items[index] = {"type": of}
        if self.items.get(index, {}).get("type") != of:
            return []
        piece = self._texts.setdefault((index, kind), Text()).feed(event.get("delta"))
        part = (index, kind, event.get("summary_index", event.get("content_index")))
        another = part[:2] == self._part[:2] and part != self._part
        self._part = part
        return self._say(index, kind, SEPARATORS.get(kind, "") + piece if another else piece)

    def _whole(self, index: int, item: Document) -> list[Document]:
        """An item that is done. Whatever its deltas did not tell is told now."""
        found = [] if index in self.items else self._begin(index, item)
        if self.items[index].get("type") != item.get("type"):
            return found
        known = self.items[index].get("call_id")
        self.items[index] = {**item, "call_id": known} if known else item
        for kind, whole in words(item).items():
            found += self._rest(index, kind, whole)
        return found

    def _rest(self, index: int, kind: str, whole: str) -> list[Document]:
        """What the deltas did not tell of these words. Some servers tell a call's arguments here alone."""
        said = self._words(index).get(kind, "")
        announced = index in self.items and whole.startswith(said)
        return self._say(index, kind, whole[len(said) :]) if announced else []

    def _end(self, response: Document) -> list[Document]:
        found: list[Document] = []
        for index, item in enumerate(mappings(response.get("output"))):
            found += self._whole(index, item)
        self.finish_reason, self.done = finish(response) or "length", True
        return found

    def _say(self, index: int, kind: str, piece: str) -> list[Document]:
        if not piece:
            return []
        self.said.setdefault(index, {}).setdefault(kind, []).append(piece)
        if kind == "arguments":
            return [self._call(index, {"function": {"arguments": piece}})]
        return [{"type": EMITTED[kind], "content": piece}] if kind in EMITTED else []

    def _call(self, index: int, piece: Document) -> Document:
        return {"type": "tool_call", "tool_call": {"index": self.calls.index(index), **piece}}

    def _words(self, index: int) -> Words:
        return {kind: "".join(pieces) for kind, pieces in self.said.get(index, {}).items()}


def _index(event: Document) -> int:
    index = event.get("output_index")
    return index if isinstance(index, int) and not isinstance(index, bool) else 0
