"""What a message, a part, a tool or a format asks for that a wire has no word for: refused by name. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from core import tokens
from core.llm.failures import ProviderRefused
from core.llm.plain import mapping, text
from core.llm.types import Document

OF_A_MESSAGE = frozenset({"role", "content", "refusal", "tool_calls", "tool_call_id"})
AS_ANSWERED = tokens.NEVER_SENT | {
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "reasoning_from",
    "thinking_blocks",
}
"""The fields that answers carry beside those: handed back, they ask for nothing."""
OF_A_PART = frozenset({"type", "text", "refusal", "image_url", "file", "cache_control"})
"""`cache_control` changes no answer: where it has no word it is left out."""
OF_AN_IMAGE = frozenset({"url"})
OF_A_FILE = frozenset({"file_data", "file_id", "filename"})
OF_A_TOOL = frozenset({"type", "function", "cache_control"})
OF_A_FUNCTION: dict[str, type] = {"name": str, "description": str, "parameters": dict, "strict": bool}
OF_A_NAMED_TOOL = frozenset({"type", "function"})
OF_A_FORMAT = frozenset({"type", "json_schema"})
OF_A_SCHEMA: dict[str, type] = {"name": str, "description": str, "schema": dict, "strict": bool}
LONGEST = 60


def check(message: Document, vendor: str, place: str) -> None:
    """Raises `ProviderRefused` for a field that this vendor's format lacks. The name of a tool's result
    repeats that of its call, and asks for nothing.
    """
    repeated = {"name"} if message.get("role") == "tool" else set()
    check_fields(tokens.sent(message), OF_A_MESSAGE | AS_ANSWERED | repeated, vendor, place)


def check_part(part: Document, of_an_image: Collection[str], vendor: str, place: str) -> None:
    """The same of a part. `of_an_image`: the fields that this vendor has of one."""
    image = mapping(part.get("image_url"))
    if image.get("detail") == "auto":
        image = {name: value for name, value in image.items() if name != "detail"}
    check_fields(part, OF_A_PART, vendor, place)
    check_fields(image, of_an_image, vendor, place)
    check_fields(mapping(part.get("file")), OF_A_FILE, vendor, place)


def function(tool: Document, own: Collection[str], vendor: str, place: str) -> Document:
    """The function that a tool is; raises `ProviderRefused` for another tool, and for what it has beside.

    `own`: what this vendor alone has of a tool, under a name of its own.
    """
    found = mapping(tool.get("function"))
    if tool.get("type") != "function" or not isinstance(found.get("name"), str):
        raise ProviderRefused(f"{vendor} is given tools of type `function` only: see {place}")
    check_fields(tool, OF_A_TOOL | set(own), vendor, place)
    check_fields(found, OF_A_FUNCTION.keys() | {"cache_control"} | set(own), vendor, f"{place}.function")
    _check_types(found, OF_A_FUNCTION, vendor, f"{place}.function")
    return found


def named(choice: Document, vendor: str, place: str) -> str:
    """The name of the one function that `tool_choice`, or a part of it, stands for."""
    name = mapping(choice.get("function")).get("name")
    if choice.get("type", "function") != "function" or not isinstance(name, str):
        raise ProviderRefused(f"{place} names no function")
    check_fields(choice, OF_A_NAMED_TOOL, vendor, place)
    check_fields(mapping(choice.get("function")), {"name"}, vendor, f"{place}.function")
    return name


def schema(wanted: Document, vendor: str) -> Document:
    """The `json_schema` of a `response_format`; empty for a format that has none."""
    place = "response_format.json_schema"
    found = mapping(wanted.get("json_schema"))
    check_fields(wanted, OF_A_FORMAT, vendor, "response_format")
    check_fields(found, OF_A_SCHEMA, vendor, place)
    _check_types(found, OF_A_SCHEMA, vendor, place)
    return found


def check_fields(given: Document, known: Collection[str], vendor: str, place: str) -> None:
    for name, value in given.items():
        if name not in known and not _is_nothing(value):
            raise ProviderRefused(f"{vendor} has no `{text(name)[:LONGEST]}` there: leave it out of {place}")


def _check_types(given: Document, types: dict[str, type], vendor: str, place: str) -> None:
    for name, kind in types.items():
        if not isinstance(given.get(name), kind) and not _is_nothing(given.get(name)):
            raise ProviderRefused(f"{vendor} takes no such `{name}` as that of {place}")


def _is_nothing(value: Any) -> bool:
    """A value that means the same as none: clients write such fields into each message."""
    return value is None or value is False or value in ("", [], {})
