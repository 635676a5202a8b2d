"""Guesses: the usage of a call whose provider did not tell it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from core import tokens
from core.llm.types import ChatRequest, Document, Usage, WireName

NOTHING: Any = {"usage": None, "usage_raw": None, "usage_status": None}
"""What the record of a call says that used nothing, as far as anybody knows."""
THOUGHTS = ("reasoning", "thinking_blocks", "reasoning_details")
"""The same thoughts in several shapes: the first that is there counts."""


def about(request: ChatRequest, message: Document) -> Usage:
    """The usage of a call with this answer."""
    beside = (request.parameters.get(name) for name in ("tools", "response_format"))
    asked = tokens.about(request.with_system(), *beside)
    thought = next((message[name] for name in THOUGHTS if message.get(name)), None)
    said = (message.get(name) for name in ("content", "tool_calls", "refusal"))
    return Usage(asked, tokens.about([], *said, thought))


def at_most(request: ChatRequest, wire: WireName) -> Usage:
    """The usage of a call whose answer nobody has seen: it may have been as long as it was allowed to be."""
    said = request.parameters.get("max_tokens") or tokens.answer(wire)
    return replace(about(request, {}), tokens_output=said)


def filled(told: Usage | None, guessed: Callable[[], Usage]) -> Usage:
    """What the provider told, and the guess for what it did not tell."""
    if told is not None and not told.untold:
        return told
    guess = guessed()
    if told is None:
        return guess
    if told.together is not None:
        asked = min(guess.tokens_input, told.together)
        return Usage(asked, told.together - asked)
    return replace(told, untold=(), **{name: getattr(guess, name) for name in told.untold})
