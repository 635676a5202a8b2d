"""Gathers a streamed answer in OpenAI's format. Pure."""

from __future__ import annotations

from typing import Any

from core.llm.plain import mapping, mappings, storable, text
from core.llm.types import Document, FinishReason, WireAnswer
from core.llm.wire import think
from core.llm.wire.openai.answer import (
    arguments,
    content_of,
    failure_inside,
    finish,
    message,
    reasoning_of,
    usage,
)

KNOWN_OF_A_CALL = ("index", "id", "type", "function")


class Stream:
    """Gathers the events of a streamed answer. `feed` returns the deltas that an event brought."""

    def __init__(self) -> None:
        self.content: list[str] = []
        self.reasoning: list[str] = []
        self.refusal: list[str] = []
        self.calls: dict[int, Document] = {}
        self.finish_reason: FinishReason | None = None
        self.usage_raw: Document | None = None
        self.done = False
        self._thinking = think.Splitter()

    def feed(self, event: Any) -> list[Document]:
        """Raises a `ProviderError` for an error inside the stream."""
        if event == "[DONE]":
            self.done = True
            return self._said(*self._thinking.close())
        failure = failure_inside(event)
        if failure is not None:
            raise failure
        event = mapping(event)
        raw = event.get("usage") or mapping(event.get("x_groq")).get("usage")
        if isinstance(raw, dict):
            self.usage_raw = storable(raw)
        found: list[Document] = []
        for choice in mappings(event.get("choices")):
            if choice.get("index") in (0, None):
                found += self._choice(choice)
        return found

    @property
    def complete(self) -> bool:
        """Did the whole answer come? Some vendors send no [DONE], some no finish_reason.

        When the prompt was too long, LM Studio sends a stream that ends properly and holds nothing
        (https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/2339): that is no answer.
        """
        said = self.content or self.reasoning or self.refusal or self.calls
        reported = usage(self.usage_raw)
        empty = not said and self.finish_reason in (None, "stop")
        if empty and not (reported and reported.tokens_output):
            return False
        return self.done or self.finish_reason is not None

    def answer(self) -> WireAnswer:
        """The same as `from_wire`, from the events so far."""
        content, thought = self._thinking.close()
        self._said(content, thought)
        calls = [self.calls[index] for index in sorted(self.calls)]
        reasoning = "".join(self.reasoning).strip()
        said = message("".join(self.content), calls, reasoning, "".join(self.refusal))
        return said, self.finish_reason, usage(self.usage_raw), self.usage_raw

    def _choice(self, choice: Document) -> list[Document]:
        delta = mapping(choice.get("delta"))
        found = self._said("", reasoning_of(delta)) + self._said(*self._thinking.feed(content_of(delta)))
        if refusal := text(delta.get("refusal")):
            self.refusal.append(refusal)
        for part in mappings(delta.get("tool_calls")):
            found.append({"type": "tool_call", "tool_call": self._tool_call(part)})
        if reason := finish(choice):
            self.finish_reason = reason
            found += self._said(*self._thinking.close())
        return found

    def _said(self, content: str, reasoning: str) -> list[Document]:
        found: list[Document] = []
        for kind, words, gathered in (
            ("reasoning", reasoning, self.reasoning),
            ("content", content, self.content),
        ):
            if words:
                gathered.append(words)
                found.append({"type": kind, "content": words})
        return found

    def _tool_call(self, part: Document) -> Document:
        """Adds a piece of a call to the call; returns the piece as OpenAI would have sent it.

        Only a call's first piece carries its id and type: clients join the strings of all pieces.
        """
        index, function = self._index(part), mapping(part.get("function"))
        said = {"name": text(function.get("name")), "arguments": arguments(function.get("arguments"))}
        piece: Document = {"index": index, "function": {key: words for key, words in said.items() if words}}
        if index not in self.calls:
            piece |= {"id": text(part.get("id")) or f"call_{index}", "type": "function"}
            self.calls[index] = {
                "id": piece["id"],
                "type": "function",
                "function": {"name": "", "arguments": ""},
            }
        call = self.calls[index]
        for key, words in said.items():
            call["function"][key] += words
        call |= storable({key: value for key, value in part.items() if key not in KNOWN_OF_A_CALL})
        return piece

    def _index(self, part: Document) -> int:
        """The call that a piece belongs to. If the vendor sends no index, an id begins the next call."""
        index = part.get("index")
        if isinstance(index, int) and not isinstance(index, bool):
            return index
        last = max(self.calls, default=-1)
        known = last >= 0 and text(part.get("id")) in ("", self.calls[last]["id"])
        return last if known else last + 1
