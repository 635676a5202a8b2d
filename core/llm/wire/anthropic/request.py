"""From a chat in OpenAI's format to the body of Anthropic's request. Pure.

Mapped: system and developer messages (gathered in front), images, PDF files, tools, calls and results,
`tool_choice`, JSON schema output, stop sequences, thinking blocks. Left out: `messages[].name` and an image's
`detail`, which Anthropic has nothing for. Refused before the call: a seed, JSON without a schema, audio, and
tools that are no functions. Anthropic's own table of what it maps is at
https://platform.claude.com/docs/en/cli-sdks-libraries/libraries/openai-sdk, read 2026-11.
"""

from __future__ import annotations

import re
from typing import Any

from core.llm.failures import ProviderRefused
from core.llm.plain import mapping
from core.llm.types import ChatRequest, Document, Target
from core.llm.wire.anthropic.messages import messages, system

VERSION = "2023-06-01"
MAX_TOKENS = 8192
"""Anthropic wants a limit. This one every model since Claude 3.5 can say, and it leaves room to think."""

# From 4.7 on a temperature is answered with 400, "`temperature` is deprecated for this model"
# (https://github.com/Comfy-Org/ComfyUI/issues/13923, read 2026-11). These still take one.
TAKES_TEMPERATURE = re.compile(
    r"claude-(v\d|instant|[23](?!\d)|(opus|sonnet|haiku)-4(-[0-6](?!\d)|-\d{8}|-latest|@|$))"
)
CHOICES = {"auto": "auto", "required": "any", "none": "none"}


def headers(target: Target) -> dict[str, str]:
    key = {"x-api-key": target.api_key} if target.api_key else {}
    return {"anthropic-version": VERSION, **key}


def to_wire(request: ChatRequest, target: Target) -> Document:
    """The JSON body of a request. Raises `ProviderRefused` for what Anthropic cannot do."""
    if request.seed is not None:
        raise ProviderRefused("Anthropic has no seed: leave `seed` out")
    said = request.with_system()
    body: Document = {
        "model": target.model,
        "max_tokens": request.max_tokens or MAX_TOKENS,
        "messages": messages(said),
    }
    found = {
        "system": system(said),
        "stop_sequences": _stop(request.stop),
        "tools": [_tool(tool, n) for n, tool in enumerate(request.tools or [])],
        "tool_choice": _tool_choice(request),
        "output_config": _output(request.response_format),
        "temperature": _temperature(request.temperature, target.model),
    }
    body |= {name: value for name, value in found.items() if value not in (None, "", [])}
    return body | ({"stream": True} if request.stream else {})


def _temperature(asked: float | None, model: str) -> float | None:
    """In 0 to 1: what is above is taken as 1, as Anthropic's own OpenAI door does it."""
    if asked is None or ("claude-" in model and not TAKES_TEMPERATURE.search(model)):
        return None
    return min(asked, 1.0)


def _stop(stop: str | list[str] | None) -> list[str]:
    sequences = [stop] if isinstance(stop, str) else stop or []
    if not all(sequence.strip() for sequence in sequences):
        raise ProviderRefused("Anthropic takes no `stop` that is only white space")
    return sequences


def _tool(tool: Document, n: int) -> Document:
    function = mapping(tool.get("function"))
    if tool.get("type") != "function" or not isinstance(function.get("name"), str):
        raise ProviderRefused(f"Anthropic takes tools of type `function` only: see tools[{n}]")
    schema = mapping(function.get("parameters")) or {"type": "object", "properties": {}}
    mapped: Document = {"name": function["name"], "input_schema": schema}
    if isinstance(function.get("description"), str):
        mapped["description"] = function["description"]
    if function.get("strict") is True:
        mapped["strict"] = True
    return mapped


def _tool_choice(request: ChatRequest) -> Document | None:
    choice = request.tool_choice
    if not request.tools:
        if choice in (None, "auto", "none"):
            return None
        raise ProviderRefused("`tool_choice` demands a tool, and there are no `tools`")
    if choice is None:
        return None
    if isinstance(choice, str) and choice in CHOICES:
        return {"type": CHOICES[choice]}
    name = mapping(mapping(choice).get("function")).get("name")
    if isinstance(name, str):
        return {"type": "tool", "name": name}
    raise ProviderRefused("Anthropic takes `tool_choice` as auto, required, none, or one function")


def _output(response_format: Document | None) -> Document | None:
    """https://platform.claude.com/docs/en/build-with-claude/structured-outputs, read 2026-11."""
    kind = mapping(response_format).get("type", "text")
    if kind == "text":
        return None
    if kind == "json_object":
        raise ProviderRefused("Anthropic gives JSON only for a schema: use `response_format` json_schema")
    schema: Any = mapping(mapping(response_format).get("json_schema")).get("schema")
    if kind != "json_schema" or not isinstance(schema, dict):
        raise ProviderRefused("Anthropic takes `response_format` as text, or as json_schema with a schema")
    return {"format": {"type": "json_schema", "schema": schema}}
