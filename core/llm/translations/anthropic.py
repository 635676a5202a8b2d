"""Parameters in Anthropic's words. Pure.

Each function returns fields of the body, or none where the parameter is left out, and raises
`ProviderRefused` for a value that Anthropic cannot do. Anthropic's own table of what it maps is at
https://platform.claude.com/docs/en/cli-sdks-libraries/libraries/openai-sdk, read 2026-11.
"""

from __future__ import annotations

import re
from typing import Any

from core import tokens
from core.llm import unsaid
from core.llm.failures import ProviderRefused
from core.llm.plain import mapping, mappings
from core.llm.translations import schemas
from core.llm.types import ChatRequest, Document, Target

# From 4.7 on, Anthropic answers a temperature with 400, "`temperature` is deprecated for this model"
# (https://github.com/Comfy-Org/ComfyUI/issues/13923, read 2026-11), and `top_p` as well
# (https://github.com/aws-samples/bedrock-chat/pull/1102, read 2026-11). These models still take them.
TAKES_SAMPLING = re.compile(
    r"claude-(v\d|instant|[23](?!\d)|(opus|sonnet|haiku)-4(-[0-6](?!\d)|-\d{8}|-latest|@|$))"
)
# From Opus 4.1 and Sonnet 4.5 on, Anthropic answers a request with both of them with 400, "cannot both be
# specified" (https://github.com/open-webui/pipelines/pull/546, read 2026-11). These models take both.
TAKES_BOTH = re.compile(r"claude-(v\d|instant|[23](?!\d)|(opus|sonnet)-4(-0(?!\d)|-\d{8}|@|$))")
LIFETIMES = ("5m", "1h")
# Up to Sonnet and Haiku 4.5, thinking has a budget; from 4.6 on it is adaptive, with an effort. Opus 4.5 has
# efforts low to high, 4.6 also max, 4.7 and later also xhigh
# (https://docs.cloudsway.net/maasapi/api-reference/text/claude_opus_4546_newtool/,
# https://reference.langchain.com/python/langchain-anthropic/chat_models/ChatAnthropic/thinking,
# read 2026-11).
WITH_BUDGET = re.compile(
    r"claude-(3-7-|opus-4(-[01](?!\d)|-\d{8}|@|$)|sonnet-4(-[05](?!\d)|-\d{8}|@|$)|haiku-4-5)"
)
WITHOUT_THINKING = re.compile(r"claude-(v\d|instant|2|3-(5-)?(opus|sonnet|haiku))")
BUDGETS = {"minimal": 1024, "low": 2048, "medium": 4096, "high": 16384, "xhigh": 24576, "max": 32000}
LEAST_BUDGET = 1024
EFFORTS_4_5 = {"minimal": "low", "low": "low", "medium": "medium"} | dict.fromkeys(
    ("high", "xhigh", "max"), "high"
)
CHOICES = {"auto": "auto", "required": "any", "none": "none"}
VENDOR = "Anthropic"
OF_A_TOOL = ("input_examples", "eager_input_streaming")
"""What Anthropic alone has of a tool: the anthropic SDK's type `ToolParam` (2.12.0, 2026-11)."""


def temperature(value: float, request: ChatRequest, target: Target) -> Document:
    """At most 1: Anthropic's own OpenAI door also takes more as 1. Left out beside a thinking budget."""
    taken = _takes_sampling(target) and not _budgeted(request, target)
    return {"temperature": min(value, 1.0)} if taken else {}


def top_p(value: float, request: ChatRequest, target: Target) -> Document:
    """Left out if a temperature is set too and the model takes only one of them."""
    one_only = "claude-" in target.model and not TAKES_BOTH.search(target.model)
    beside = one_only and request.parameters.get("temperature") is not None
    taken = _takes_sampling(target) and not beside and not _budgeted(request, target)
    return {"top_p": value} if taken else {}


def stop(value: str | list[str], request: ChatRequest, target: Target) -> Document:
    sequences = [value] if isinstance(value, str) else value
    if not all(sequence.strip() for sequence in sequences):
        raise ProviderRefused("Anthropic takes no `stop` that is only white space")
    return {"stop_sequences": sequences} if sequences else {}


def tools(value: list[Document], request: ChatRequest, target: Target) -> Document:
    return {"tools": [_tool(tool, n) for n, tool in enumerate(value)]} if value else {}


def tool_choice(value: str | Document, request: ChatRequest, target: Target) -> Document:
    if not request.parameters.get("tools"):
        if value in ("auto", "none"):
            return {}
        raise ProviderRefused("`tool_choice` demands a tool, and there are no `tools`")
    if isinstance(value, str) and value in CHOICES:
        return {"tool_choice": {"type": CHOICES[value], **_one_at_a_time(request, value != "none")}}
    if isinstance(value, dict) and mapping(value.get("function")):
        name = unsaid.named(value, VENDOR, "tool_choice")
        return {"tool_choice": {"type": "tool", "name": name, **_one_at_a_time(request, True)}}
    raise ProviderRefused("Anthropic takes `tool_choice` as auto, required, none, or one function")


def response_format(value: Document, request: ChatRequest, target: Target) -> Document:
    """https://platform.claude.com/docs/en/build-with-claude/structured-outputs, read 2026-11.

    The description of the format is the schema's, unless that has one of its own. Its name is for OpenAI
    alone, and `strict` says what Anthropic does anyway.
    """
    kind = value.get("type", "text")
    wanted = unsaid.schema(value, VENDOR)
    if kind == "text":
        return {}
    if kind == "json_object":
        raise ProviderRefused("Anthropic gives JSON only for a schema: use `response_format` json_schema")
    schema: Any = wanted.get("schema")
    if kind != "json_schema" or not isinstance(schema, dict):
        raise ProviderRefused("Anthropic takes `response_format` as text, or as json_schema with a schema")
    described = {"description": wanted["description"]} if wanted.get("description") else {}
    return {"output_config": {"format": {"type": "json_schema", "schema": {**described, **schema}}}}


def prompt_cache(value: str, request: ChatRequest, target: Target) -> Document:
    """The request's own field: Anthropic caches up to the last block that can be cached.

    Left out where the client marks parts or tools itself: each mark is one of the four that a request may
    have, and those of an hour must come first. A custom endpoint is asked for it only by name.
    https://platform.claude.com/docs/en/build-with-claude/prompt-caching, read 2026-11.
    """
    if value == "off" or _marked(request) or (value == "auto" and target.key_kind == "custom"):
        return {}
    return {"cache_control": {"type": "ephemeral"} | ({"ttl": value} if value in LIFETIMES else {})}


def mark(of: Document) -> Document:
    """The mark with which a client ends what is to be cached, as the fields of a block."""
    given = mapping(of.get("cache_control"))
    if given.get("type") != "ephemeral":
        return {}
    return {"cache_control": {name: given[name] for name in ("type", "ttl") if name in given}}


def _marked(request: ChatRequest) -> bool:
    parts = [part for message in request.messages for part in mappings(message.get("content"))]
    tools = mappings(request.parameters.get("tools"))
    return any(mark(one) or mark(mapping(one.get("function"))) for one in (*parts, *tools))


def parallel_tool_calls(value: bool, request: ChatRequest, target: Target) -> Document:
    """It belongs to the choice of a tool, which says it where there is one."""
    chosen = request.parameters.get("tool_choice") is not None
    if value or chosen or not request.parameters.get("tools"):
        return {}
    return {"tool_choice": {"type": "auto", **_one_at_a_time(request, True)}}


def reasoning_effort(value: str, request: ChatRequest, target: Target) -> Document:
    """An effort where the model has efforts, a thinking budget for the models before them.

    Where a call is forced Anthropic refuses thinking: an effort goes without it, a budget is refused, or left
    out if it is only the agent's preset
    (https://platform.claude.com/docs/en/build-with-claude/extended-thinking, read 2026-11).
    """
    if value == "none":
        return {"thinking": {"type": "disabled"}} if "claude-" in target.model else {}
    if _by_budget(target) and _forces(request):
        if "reasoning_effort" in request.preset:
            return {}
        raise ProviderRefused(
            "this model of Anthropic's does not think where `tool_choice` forces a call: leave one of "
            "`tool_choice` and `reasoning_effort` out"
        )
    if _budgeted(request, target):
        most = request.parameters.get("max_tokens") or tokens.OF_ANTHROPIC
        budget = min(BUDGETS[value], most - LEAST_BUDGET)
        if budget < LEAST_BUDGET:
            raise ProviderRefused("`reasoning_effort` needs `max_tokens` of at least 2048 with this model")
        return {"thinking": {"type": "enabled", "budget_tokens": budget}}
    if WITHOUT_THINKING.search(target.model):
        raise ProviderRefused("this model of Anthropic's does not think: leave `reasoning_effort` out")
    if "opus-4-5" in target.model:
        return {"output_config": {"effort": EFFORTS_4_5[value]}}
    effort = {"minimal": "low"}.get(value, value)
    if "-4-6" in target.model and effort == "xhigh":
        effort = "high"
    thinking = {} if _forces(request) else {"thinking": {"type": "adaptive"}}
    return {**thinking, "output_config": {"effort": effort}}


def service_tier(value: str, request: ChatRequest, target: Target) -> Document:
    tier = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}.get(value)
    if tier is None:
        raise ProviderRefused("Anthropic takes `service_tier` as auto or default")
    return {"service_tier": tier}


def user(value: str, request: ChatRequest, target: Target) -> Document:
    return {"metadata": {"user_id": value}}


def _one_at_a_time(request: ChatRequest, may_call: bool) -> Document:
    refused = may_call and request.parameters.get("parallel_tool_calls") is False
    return {"disable_parallel_tool_use": True} if refused else {}


def _budgeted(request: ChatRequest, target: Target) -> bool:
    """Does this model think by a budget here? It then takes no sampling."""
    effort = request.parameters.get("reasoning_effort")
    return effort not in (None, "none") and _by_budget(target) and not _forces(request)


def _by_budget(target: Target) -> bool:
    return WITH_BUDGET.search(target.model) is not None


def _forces(request: ChatRequest) -> bool:
    """Must the model call a tool?"""
    return bool(request.parameters.get("tools")) and request.parameters.get("tool_choice") not in (
        None,
        "auto",
        "none",
    )


def _takes_sampling(target: Target) -> bool:
    return "claude-" not in target.model or TAKES_SAMPLING.search(target.model) is not None


def _tool(tool: Document, n: int) -> Document:
    function = unsaid.function(tool, OF_A_TOOL, VENDOR, f"tools[{n}]")
    schema = schemas.of_object(mapping(function.get("parameters")) or {"properties": {}})
    mapped: Document = {"name": function["name"], "input_schema": schema}
    if isinstance(function.get("description"), str):
        mapped["description"] = function["description"]
    if function.get("strict") is True:
        mapped["strict"] = True
    own = {name: told for of in (function, tool) for name in OF_A_TOOL if (told := of.get(name)) is not None}
    return mapped | own | (mark(tool) or mark(function))
