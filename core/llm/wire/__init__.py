"""Wire formats: what a vendor's HTTP looks like. Each is a package with the names of `Wire`."""

from __future__ import annotations

from typing import Any, Protocol

from core.llm.failures import ProviderError
from core.llm.types import ChatRequest, Document, Target, Usage, WireAnswer, WireName
from core.llm.wire import anthropic, openai, responses


class AnswerStream(Protocol):
    """Gathers the events of one streamed answer."""

    done: bool
    """The event that ends the answer has come."""

    @property
    def complete(self) -> bool:
        """Has the whole answer come? Not every vendor says that it is done."""

    def feed(self, event: Any) -> list[Document]:
        """The deltas that an event brought. Raises a `ProviderError` for an error inside the stream."""

    def end(self) -> list[Document]:
        """The deltas of what was held back, once the whole answer has come."""

    def answer(self) -> WireAnswer:
        """The same as `from_wire`, from the events so far."""


class Wire(Protocol):
    """Whatever a provider sends, only a `ProviderError` is raised, and what is returned can be stored."""

    PATH: str
    """Where the request goes, below the target's `base_url`."""

    def headers(self, target: Target) -> dict[str, str]:
        """The key, as this format carries it."""

    def to_wire(self, request: ChatRequest, target: Target) -> Document:
        """The JSON body. Raises `ProviderRefused` for what the vendor cannot do."""

    def failure_inside(self, body: Any) -> ProviderError | None:
        """The failure that a body with status 200 tells."""

    def from_wire(self, body: Any) -> WireAnswer:
        """An answer in one piece. Raises `ProviderBusy` for a body that is no answer."""

    def usage(self, raw: Any) -> Usage | None:
        """The tokens that a provider reports."""

    def Stream(self) -> AnswerStream:
        """A new gatherer."""


WIRES: dict[WireName, Wire] = {"openai": openai, "anthropic": anthropic, "responses": responses}
