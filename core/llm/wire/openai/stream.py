"""Gathers a streamed answer in OpenAI's format. Pure."""

from __future__ import annotations

from typing import Any

from core.llm.plain import mapping, mappings, text
from core.llm.types import Document, WireAnswer
from core.llm.wire import counts, think
from core.llm.wire.halves import Text
from core.llm.wire.openai import beside, reasoning
from core.llm.wire.openai.answer import (
    content_of,
    failure_inside,
    finish,
    kept_for_later,
    message,
    reasoning_of,
    usage,
)
from core.llm.wire.openai.calls import Calls, told


class Stream:
    """Gathers the events of a streamed answer. `feed` returns the deltas that an event brought."""

    def __init__(self) -> None:
        self.content: list[str] = []
        self.reasoning: list[str] = []
        self.refusal: list[str] = []
        self.calls = Calls()
        self._logprobs: dict[str, list[Any]] = {}
        self.finish_reason: str | None = None
        self.usage_raw: Document | None = None
        self.done = False
        self._chosen = False
        self._told: Document = {}
        self._details = reasoning.Details()
        self._beside = beside.Beside()
        self._unknown: dict[str, None] = {}
        self._thinking = think.Splitter()
        self._texts = {"content": Text(), "reasoning": Text(), "refusal": Text()}

    def feed(self, event: Any) -> list[Document]:
        """Raises a `ProviderError` for an error inside the stream."""
        if event == "[DONE]":
            self.done = True
            return self._said(*self._thinking.close())
        raw = counts.told(event)
        if raw is not None:
            self.usage_raw = counts.later(self.usage_raw, raw)
        failure = failure_inside(event)
        if failure is not None:
            raise failure
        event = mapping(event)
        found: list[Document] = []
        for choice in mappings(event.get("choices")):
            if choice.get("index") in (0, None):
                found += self._choice(choice)
        self._beside.answer(event)
        return found

    def end(self) -> list[Document]:
        """The deltas of what was held back: the end of the text, arguments of calls to which none came."""
        return self._rest() + [_call(piece) for piece in self.calls.end()]

    @property
    def complete(self) -> bool:
        """Did the whole answer come? Some vendors send no [DONE], some no finish_reason.

        When the prompt was too long, LM Studio sends a stream that ends properly and holds nothing
        (https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/2339): that is no answer.
        """
        reported = usage(self.usage_raw)
        empty = not self._has_begun and self.finish_reason in (None, "stop")
        if empty and not (self._chosen and reported and reported.tokens_output):
            return False
        return self.done or self.finish_reason is not None

    @property
    def _has_begun(self) -> bool:
        said = self.content or self.reasoning or any(self.refusal) or self.calls.gathered
        return bool(said) or self._beside.has_begun

    def answer(self) -> WireAnswer:
        """The same as `from_wire`, from the events so far."""
        if self.complete:
            self.end()
        self._rest()
        thoughts = "".join(self.reasoning)
        thoughts = thoughts if reasoning.came_as(self._told) else thoughts.strip()
        calls = self.calls.gathered
        said = message("".join(self.content), calls, thoughts, "".join(self.refusal))
        return WireAnswer(
            said | self._beside.all() | kept_for_later({**self._told, "logprobs": self._logprobs}, calls),
            self.finish_reason,
            usage(self.usage_raw),
            self.usage_raw,
            tuple(self._unknown),
        )

    def _choice(self, choice: Document) -> list[Document]:
        self._chosen = True
        delta = mapping(choice.get("delta"))
        if "delta" not in choice and not self._has_begun:
            delta = mapping(choice.get("message"))  # a server that tells the whole answer in one event
        self._tell(delta)
        for name, more in mapping(choice.get("logprobs")).items():
            if isinstance(more, list):
                self._logprobs.setdefault(name, []).extend(more)
        thought = self._texts["reasoning"].feed(reasoning_of(delta))
        content = self._texts["content"].feed(content_of(delta))
        found = self._said("", thought) + self._said(*self._thinking.feed(content))
        if refusal := self._texts["refusal"].feed(beside.refusal(delta)):
            self.refusal.append(refusal)
        self._beside.message(delta)
        self._unknown |= dict.fromkeys(beside.unknown({**delta, "tool_calls": None}))
        found += [_call(piece) for part in told(delta) if (piece := self.calls.feed(part))]
        if reason := finish(choice):
            self.finish_reason = reason
            found += self._said(*self._thinking.close())
        return found

    def _tell(self, delta: Document) -> None:
        """Notes how the reasoning is told, and its details."""
        name = reasoning.came_as(delta)
        if name:
            self._told[name] = self._told.get(name, "") or text(delta[name])
        if delta.get("reasoning_details"):
            self._details.feed(delta["reasoning_details"])
            self._told["reasoning_details"] = self._details.gathered

    def _rest(self) -> list[Document]:
        rest = {kind: held.close() for kind, held in self._texts.items()}
        self.refusal.append(rest["refusal"])
        content, thought = self._thinking.feed(rest["content"])
        more, more_thought = self._thinking.close()
        return self._said(content + more, rest["reasoning"] + thought + more_thought)

    def _said(self, content: str, thought: str) -> list[Document]:
        found: list[Document] = []
        for kind, words, gathered in (
            ("reasoning", thought, self.reasoning),
            ("content", content, self.content),
        ):
            if words:
                gathered.append(words)
                found.append({"type": kind, "content": words})
        return found


def _call(piece: Document) -> Document:
    return {"type": "tool_call", "tool_call": piece}
