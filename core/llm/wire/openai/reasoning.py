"""Reasoning that a vendor wants back in the next turn, beside the tool calls that it led to. Pure.

DeepSeek refuses a turn whose call lacks its `reasoning_content`, an empty one too
(https://api-docs.deepseek.com/guides/thinking_mode, read 2026-11). OpenRouter wants `reasoning_details`
back unchanged (https://openrouter.ai/docs/use-cases/reasoning-tokens, read 2026-11). Both go to the endpoint
that they came from and to no other: strict servers refuse the fields, and details may be sealed.
"""

from __future__ import annotations

import hashlib
from typing import Any

from core.llm.plain import mappings, storable
from core.llm.types import Document, Target

NAMES = ("reasoning_content", "reasoning")
MOST = 200
"""Details of one answer, and pieces of one delta."""
JOINED = ("text", "summary", "data")
"""The fields of a detail that come in pieces."""


def came_as(said: Document) -> str | None:
    """The name under which a message, or a delta, brings its reasoning."""
    return next((name for name in NAMES if isinstance(said.get(name), str)), None)


def origin(target: Target) -> str:
    """The mark of an endpoint. The address itself is nothing for those who chat."""
    return hashlib.sha256(target.base_url.encode()).hexdigest()[:16]


def going_back(message: Document, target: Target) -> Document:
    """The fields to send back to this target; none to another than the reasoning came from."""
    if target.key_kind != "custom" or message.get("thinking_blocks"):
        return {}
    name, mark = _source(message)
    if name not in NAMES or mark not in ("", origin(target)):
        return {}
    found: Document = {}
    if details := mappings(message.get("reasoning_details")):
        found["reasoning_details"] = details
    words = message.get("reasoning") or message.get("reasoning_content")
    if message.get("tool_calls") and (isinstance(words, str) or mark):
        found[name] = words if isinstance(words, str) else ""
    return found


class Details:
    """Gathers the details of an answer: pieces of one share index and type, and the id where both have it."""

    def __init__(self) -> None:
        self.gathered: list[Document] = []
        self._at: dict[str, Document] = {}

    def feed(self, more: Any) -> None:
        """Adds what a message or a delta brings."""
        for piece in storable(mappings(more)[:MOST]):
            same = self._same(piece)
            if same is not None:
                _add(same, piece)
            elif len(self.gathered) < MOST:
                self.gathered.append(same := piece)
            if same is not None:
                self._at.setdefault(_place(same, None), same)
                self._at.setdefault(_place(same, same.get("id")), same)

    def _same(self, piece: Document) -> Document | None:
        """Of those at its place the one with its id; the first, if that or the piece has none."""
        if piece.get("index") is None:
            return None
        first = self._at.get(_place(piece, None))
        if first is None or None in (piece.get("id"), first.get("id")):
            return first
        return self._at.get(_place(piece, piece["id"]))


def joined(more: Any) -> list[Document]:
    """The details of a whole message."""
    details = Details()
    details.feed(more)
    return details.gathered


def _source(message: Document) -> tuple[str, str]:
    """(name, mark of the endpoint); a client may have kept the reasoning alone, and named it."""
    given = message.get("reasoning_from")
    if isinstance(given, str):
        name, _, mark = given.partition("@")
        return name, mark
    return came_as(message) or NAMES[1], ""


def _place(detail: Document, id: Any) -> str:
    """Any JSON may stand there."""
    return repr((detail.get("index"), detail.get("type"), id))


def _add(same: Document, piece: Document) -> None:
    for name, value in piece.items():
        both = name in JOINED and isinstance(value, str) and isinstance(same.get(name), str)
        same[name] = same[name] + value if both else same.get(name) if value is None else value
