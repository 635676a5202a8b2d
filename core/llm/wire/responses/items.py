"""From OpenAI's messages to the items of a response's `input`. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.llm import unsaid
from core.llm.failures import ProviderRefused
from core.llm.plain import mapping, mappings, text
from core.llm.types import Document
from core.llm.wire.responses import kept
from core.llm.wire.responses.parts import parts


def items(message: Document, n: int) -> list[Document]:
    """The items of one message. Raises `ProviderRefused` for what this API does not take."""
    role, place = message.get("role"), f"messages[{n}]"
    if not isinstance(role, str) or role not in ROLES:
        raise ProviderRefused(f"OpenAI's Responses API has no role like that of {place}")
    unsaid.check(message, "OpenAI's Responses API", place)
    return ROLES[role](message, place)


def _told(message: Document, place: str) -> list[Document]:
    content = _content(message.get("content"), place)
    return [{"role": message["role"], "content": content}] if content else []


def _assistant(message: Document, place: str) -> list[Document]:
    """What was said and called, each with the reasoning that led to it in front."""
    given = mappings(message.get("tool_calls"))
    calls = [_call(call, f"{place}.tool_calls[{m}]") for m, call in enumerate(given)]
    said = _text(message.get("content") or message.get("refusal"), place)
    return kept.in_order(said, calls, message.get("thinking_blocks"))


def _call(call: Document, place: str) -> Document:
    function = mapping(call.get("function"))
    if not isinstance(function.get("name"), str):
        raise ProviderRefused(f"OpenAI's Responses API takes calls of functions only: see {place}")
    return {
        "type": "function_call",
        "call_id": text(call.get("id")),
        "name": function["name"],
        "arguments": text(function.get("arguments")) or "{}",
    }


def _result(message: Document, place: str) -> list[Document]:
    output = _content(message.get("content"), place)
    return [{"type": "function_call_output", "call_id": text(message.get("tool_call_id")), "output": output}]


def _content(content: Any, place: str) -> str | list[Document]:
    return parts(content, place) if isinstance(content, list) else text(content)


def _text(content: Any, place: str) -> str:
    """What an assistant said; this API takes nothing but text from it."""
    if not isinstance(content, list):
        return text(content)
    for part in mappings(content):
        if part.get("type") not in ("text", "refusal"):
            kind = text(part.get("type")) or "such"
            raise ProviderRefused(
                f"OpenAI's Responses API takes no {kind} part from an assistant: see {place}"
            )
        unsaid.check_part(part, unsaid.OF_AN_IMAGE, "OpenAI's Responses API", place)
    return "".join(text(part.get("text")) or text(part.get("refusal")) for part in mappings(content))


ROLES: dict[str, Callable[[Document, str], list[Document]]] = {
    "system": _told,
    "developer": _told,
    "user": _told,
    "assistant": _assistant,
    "tool": _result,
}
