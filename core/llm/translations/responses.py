"""Parameters in the words of OpenAI's Responses API, https://developers.openai.com/api/docs/guides/migrate-to-responses,
read 2026-11. Each function returns fields of the body, none to leave it out. Pure.
"""

from __future__ import annotations

from typing import Any

from core.llm import unsaid
from core.llm.failures import ProviderRefused
from core.llm.plain import mapping
from core.llm.translations import schemas
from core.llm.types import ChatRequest, Document, Target

FEWEST_TOKENS = 16
"""A smaller limit is refused (https://github.com/vectorize-io/hindsight/issues/58, read 2026-11)."""
OF_A_FUNCTION = ("name", "description", "parameters")
VENDOR = "OpenAI's Responses API"


def tools(value: list[Document], request: ChatRequest, target: Target) -> Document:
    return {"tools": [_tool(tool, n) for n, tool in enumerate(value)]} if value else {}


def tool_choice(value: str | Document, request: ChatRequest, target: Target) -> Document:
    if isinstance(value, str):
        return {"tool_choice": value}
    if value.get("type") == "function":
        return {"tool_choice": _named(value, "tool_choice")}
    if value.get("type") == "allowed_tools" and mapping(value.get("allowed_tools")):
        unsaid.check_fields(value, ("type", "allowed_tools"), VENDOR, "tool_choice")
        return {"tool_choice": {"type": "allowed_tools", **_allowed(value["allowed_tools"])}}
    raise ProviderRefused(
        "OpenAI's Responses API takes `tool_choice` as auto, required, none, allowed tools, or one function"
    )


def response_format(value: Document, request: ChatRequest, target: Target) -> Document:
    """The schema stands a level higher than in chat completions."""
    return {"text": {"format": {"type": value.get("type", "text"), **unsaid.schema(value, VENDOR)}}}


def max_tokens(value: int, request: ChatRequest, target: Target) -> Document:
    return {"max_output_tokens": max(value, FEWEST_TOKENS)}


def reasoning_effort(value: str, request: ChatRequest, target: Target) -> Document:
    return {"reasoning": {"effort": value}}


def verbosity(value: str, request: ChatRequest, target: Target) -> Document:
    return {"text": {"verbosity": value}}


def _tool(tool: Document, n: int) -> Document:
    """Not strict unless it says so: what chat completions take for granted is the other way round here."""
    function = unsaid.function(tool, (), VENDOR, f"tools[{n}]")
    given = {name: function[name] for name in OF_A_FUNCTION if function.get(name) is not None}
    schema = {"parameters": {"type": "object", "properties": {}}}
    if isinstance(given.get("parameters"), dict):
        given["parameters"] = schemas.of_object(given["parameters"])
    return {"type": "function", **schema, **given, "strict": function.get("strict") is True}


def _allowed(tools: Document) -> Document:
    place = "tool_choice.allowed_tools"
    unsaid.check_fields(tools, ("mode", "tools"), VENDOR, place)
    given: Any = tools.get("tools")
    names = given if isinstance(given, list) else []
    found = [_named(mapping(tool), f"{place}.tools[{n}]") for n, tool in enumerate(names)]
    return {"mode": tools.get("mode", "auto"), "tools": found}


def _named(tool: Document, place: str) -> Document:
    return {"type": "function", "name": unsaid.named(tool, VENDOR, place)}
