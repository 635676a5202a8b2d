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
"""Details of one answer, and pieces of one delta: each piece is compared with each detail."""
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


def joined(details: list[Document], more: Any) -> list[Document]:
    """The details so far, with those of a delta: pieces of one detail have its index and type."""
    found = [dict(detail) for detail in details]
    for piece in storable(mappings(more)[:MOST]):
        same = next((one for one in found if _is_same(one, piece)), None)
        if same is None:
            found += [piece] if len(found) < MOST else []
            continue
        for name, value in piece.items():
            both = name in JOINED and isinstance(value, str) and isinstance(same.get(name), str)
            same[name] = same[name] + value if both else same.get(name) if value is None else value
    return found


def _source(message: Document) -> tuple[str, str]:
    """(name, mark of the endpoint); a client may have kept the reasoning alone, and named it."""
    given = message.get("reasoning_from")
    if isinstance(given, str):
        name, _, mark = given.partition("@")
        return name, mark
    return came_as(message) or NAMES[1], ""


def _is_same(one: Document, piece: Document) -> bool:
    if piece.get("index") is None or one.get("index") != piece["index"]:
        return False
    ids = (one.get("id"), piece.get("id"))
    return one.get("type") == piece.get("type") and (None in ids or ids[0] == ids[1])
