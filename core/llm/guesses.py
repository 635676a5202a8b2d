"""Guesses: the usage of a call whose provider did not tell it. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from core import tokens
from core.llm.types import ChatRequest, Document, Usage

NOTHING: Any = {"usage": None, "usage_raw": None, "usage_status": None}
"""What the record of a call says that used nothing, as far as anybody knows."""


def about(request: ChatRequest, message: Document) -> Usage:
    """The usage of a call with this answer."""
    asked = tokens.about(request.with_system(), request.parameters.get("tools"))
    return Usage(asked, tokens.about([], message.get("content"), message.get("tool_calls")))


def at_most(request: ChatRequest) -> Usage:
    """The usage of a call whose answer nobody has seen: it may have been as long as it was allowed to be."""
    said = request.parameters.get("max_tokens") or tokens.ANSWER
    return replace(about(request, {}), tokens_output=said)


def filled(told: Usage | None, request: ChatRequest, message: Document) -> Usage:
    """What the provider told, and the guess for what it did not tell."""
    if told is not None and not told.untold:
        return told
    guess = about(request, message)
    if told is None:
        return guess
    return replace(told, untold=(), **{name: getattr(guess, name) for name in told.untold})
