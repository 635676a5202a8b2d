"""From OpenAI's messages to Anthropic's turns: one user's, one assistant's, in turn. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

from core.llm import unsaid
from core.llm.failures import ProviderRefused
from core.llm.plain import mapping, mappings, text
from core.llm.types import Document
from core.llm.wire.anthropic.parts import blocks
from core.llm.wire.anthropic.thinking import FIELDS, signed

SYSTEM = ("system", "developer")
NOT_IN_AN_ID = re.compile(r"[^a-zA-Z0-9_-]")


def system(said: list[Document]) -> str | list[Document]:
    """All that the operator says: one text, or its blocks if one of them ends what is to be cached.

    Anthropic keeps it apart from the turns.
    """
    found = [
        blocks(message.get("content"), f"messages[{n}]", text_only=True)
        for n, message in enumerate(said)
        if message.get("role") in SYSTEM
    ]
    of_all = [block for of_one in found for block in of_one]
    marked = any("cache_control" in block for block in of_all)
    return of_all if marked else "\n\n".join(block["text"] for block in of_all)


def messages(said: list[Document]) -> list[Document]:
    """The turns. Raises `ProviderRefused` for what Anthropic does not take; it names the place."""
    turns: list[Document] = []
    for n, message in enumerate(said):
        unsaid.check(message, "Anthropic", f"messages[{n}]")
        if message.get("role") in SYSTEM:
            continue
        role, said_in = _turn(message, f"messages[{n}]")
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += said_in
        elif said_in:
            turns.append({"role": role, "content": said_in})
    if not turns:
        raise ProviderRefused("Anthropic needs at least one message that is not the system's")
    _begin_answer(turns[-1])
    return turns


def _begin_answer(last: Document) -> None:
    """An assistant's turn at the end is the beginning of the answer, which the model goes on with.

    "final assistant content cannot end with trailing whitespace"
    (https://github.com/langchain-ai/langchain-google/pull/1733, read 2026-11).
    """
    block = last["content"][-1]
    if last["role"] == "assistant" and block["type"] == "text":
        block["text"] = block["text"].rstrip()


def may_think(turns: list[Document]) -> bool:
    """Not where a tool's result follows a turn without thinking, another vendor's: Anthropic refuses that.

    "When `thinking` is enabled, a final `assistant` message must start with a thinking block"
    (https://platform.claude.com/docs/en/build-with-claude/extended-thinking, read 2026-11).
    """
    if len(turns) < 2 or not any(block["type"] == "tool_result" for block in turns[-1]["content"]):
        return True
    return turns[-2]["content"][0]["type"] in FIELDS


def _turn(message: Document, place: str) -> tuple[str, list[Document]]:
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise ProviderRefused(f"Anthropic has no role like that of {place}")
    name, of_role = ROLES[role]
    return name, of_role(message, place)


def _user(message: Document, place: str) -> list[Document]:
    return blocks(message.get("content"), place)


def _assistant(message: Document, place: str) -> list[Document]:
    """Thinking comes first and unchanged: Anthropic refuses a tool's result if its call has no thinking."""
    said = blocks(message.get("content") or message.get("refusal"), place, text_only=True)
    calls = mappings(message.get("tool_calls"))
    return [
        *signed(message.get("thinking_blocks")),
        *said,
        *(_tool_use(call, f"{place}.tool_calls[{n}]") for n, call in enumerate(calls)),
    ]


def _tool_use(call: Document, place: str) -> Document:
    function = mapping(call.get("function"))
    if not isinstance(function.get("name"), str):
        raise ProviderRefused(f"Anthropic takes calls of functions only: see {place}")
    return {
        "type": "tool_use",
        "id": _id(call.get("id")),
        "name": function["name"],
        "input": _input(function.get("arguments"), place),
    }


def _input(arguments: Any, place: str) -> Document:
    if not arguments:
        return {}
    try:
        found = json.loads(arguments, parse_float=_finite, parse_constant=_finite)
    except (ValueError, TypeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ProviderRefused(f"Anthropic takes a JSON object as arguments, and {place} has none")
    return found


def _finite(number: str) -> float:
    """Raises `ValueError` for what no JSON can say again: `NaN`, `1e400`."""
    if not math.isfinite(value := float(number)):
        raise ValueError(number)
    return value


def _tool_result(message: Document, place: str) -> list[Document]:
    result: Document = {"type": "tool_result", "tool_use_id": _id(message.get("tool_call_id"))}
    content = blocks(message.get("content"), place)
    return [result | ({"content": content} if content else {})]


def _id(given: Any) -> str:
    """Replaces characters that other vendors have in ids and Anthropic refuses (`functions.weather:0`)."""
    return NOT_IN_AN_ID.sub("_", text(given))


ROLES: dict[str, tuple[str, Callable[[Document, str], list[Document]]]] = {
    "user": ("user", _user),
    "assistant": ("assistant", _assistant),
    "tool": ("user", _tool_result),
}
