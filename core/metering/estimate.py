"""Estimates: the most that a call may reasonably cost, before it is made. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from core import tokens
from core.llm import windows
from core.llm.keyring import is_keyed
from core.llm.parameters import chosen
from core.llm.plain import mapping, mappings
from core.llm.records import PlannedTarget
from core.metering.prices import NOTHING, Prices, Table

Document = dict[str, Any]

Cost = tuple[PlannedTarget, Decimal | None]
"""A target of a plan, and the most that a call to it may cost, in USD; None: the price is not known."""
Tokens = Mapping[str, Any]
"""`tokens_input` and `tokens_output` of a call, at most; `pictures`: how many of the input are pictures, at
`tokens.A_PART` each; `service_tier`: as asked for. 1 or 0: `hour`, if it may be cached for an hour;
`elsewhere`, if a provider adds content whose length nobody here knows."""

PICTURES = (
    (re.compile(r"gpt-4o-mini"), 48_169),
    (re.compile(r"gpt-4|^o[134]|^gpt-5(?!\.)"), 4_000),
    (re.compile(r"claude-"), 5_000),
    (re.compile(r""), 16_384),
)
"""The most tokens that a model takes a picture for, by its name: 2,833 and 5,667 for each of 8 tiles; at most
1,445 in tiles, or 1,536 patches at 2.46 (https://platform.openai.com/docs/guides/images-vision); 4,784
(https://platform.claude.com/docs/en/build-with-claude/vision); of others the most that is known, which is
Qwen's (https://huggingface.co/Qwen/Qwen2-VL-7B-Instruct/discussions/47). As of 2026-11."""
OF_CLIENTS = ("function", "custom")
"""The types of tools that a client runs; vendors run the others."""
ADDING = frozenset(
    {
        "container",
        "conversation",
        "enable_search",
        "mcp_servers",
        "plugins",
        "previous_response_id",
        "prompt",
        "search_parameters",
        "web_search",
        "web_search_options",
    }
)
"""Fields of `extra` that let a vendor add to the prompt what it finds, or what it has kept."""


def largest(costs: Iterable[Cost]) -> Decimal | None:
    """What the dearest target would cost, in USD; None where a target's price is not known."""
    listed = [cost for _, cost in costs]
    known = [cost for cost in listed if cost is not None]
    return None if len(known) < len(listed) else max(known, default=Decimal(0))


def costs_of(
    plan: Mapping[str, Any],
    request: Mapping[str, Any],
    prices: Prices,
    own: Table = NOTHING,
    *,
    unknown_window: int,
) -> list[Cost]:
    """Each target of a plan, and the most that a call to it may reasonably cost.

    `unknown_window`: see `most`.
    """
    targets: list[PlannedTarget] = plan["targets"]
    usage = most(plan, request, unknown_window=unknown_window)
    return [(target, cost(target, usage, prices, own)) for target in targets]


def most(plan: Mapping[str, Any], request: Mapping[str, Any], *, unknown_window: int) -> Tokens:
    """The tokens that a call may reasonably use.

    `plan`, `request`: as a job carries them. `unknown_window`: the tokens that a conversation may fill of a
    model that no public table knows.
    """
    of_agent = plan.get("agent") or {}
    limits = [tokens.answer(target["wire"]) for target in plan["targets"]]
    said = request.get("max_tokens") or of_agent.get("max_tokens") or max(limits, default=tokens.ANSWER)
    parameters, _ = chosen(request, of_agent)
    messages, extra = request.get("messages") or [], parameters.get("extra") or {}
    read = [value for value in parameters.values() if isinstance(value, list | dict)]
    asked = tokens.at_most(messages, of_agent.get("system_prompt"), *read)
    if extra:  # a prediction that does not come true is paid for like an answer
        said += tokens.at_most([], extra)
    parts = [part for message in mappings(messages) for part in mappings(message.get("content"))]
    tools = mappings(parameters.get("tools"))
    if request.get("conversation_id") is not None:  # its history is added by the worker
        asked = max(asked, _window(plan["targets"][0]) or unknown_window)
    of_vendor = any(tool.get("type", "function") not in OF_CLIENTS for tool in tools)
    adds = of_vendor or not ADDING.isdisjoint(extra) or any(map(tokens.is_elsewhere, parts))
    marked = [*parts, *tools, *(mapping(tool.get("function")) for tool in tools), extra]
    lifetimes = [
        parameters.get("prompt_cache"),
        *(mapping(one.get("cache_control")).get("ttl") for one in marked),
    ]
    return {
        "tokens_input": asked,
        "tokens_output": said,
        "pictures": sum(map(tokens.is_picture, parts)),
        "hour": int("1h" in lifetimes),
        "elsewhere": int(adds),
        "service_tier": parameters.get("service_tier"),
    }


def cost(target: Mapping[str, Any], usage: Tokens, prices: Prices, own: Table = NOTHING) -> Decimal | None:
    """What a call that uses so much costs, in USD; None: nobody knows the price, or how much it reads.

    What a provider adds fills at most the model's window. Input may be written to a cache, which can cost
    more. An endpoint of a user's own is free where no key goes with it; with one it costs what the workspace
    says.
    """
    if target["key_kind"] == "custom" and is_keyed(target) and not prices.of_workspaces(target, own):
        return None
    asked = usage["tokens_input"] + usage.get("pictures", 0) * (_a_picture(target) - tokens.A_PART)
    if usage.get("elsewhere"):
        asked = max(asked, _window(target) or 0)
    used = {"tokens_input": asked, "tokens_output": usage["tokens_output"]}
    raw: Document = {"service_tier": usage.get("service_tier")}
    written = {**used, "tokens_cache_write": asked}
    hour = {"cache_creation": {"ephemeral_1h_input_tokens": asked if usage.get("hour") else 0}}
    costs = [
        prices.of({**target, "usage": used, "usage_raw": raw}, own).cost,
        prices.of({**target, "usage": written, "usage_raw": raw | hour}, own).cost,
    ]
    known = [cost for cost in costs if cost is not None]
    if len(known) < len(costs) or (is_endless(target, usage) and max(known)):
        return None
    return max(known)


def is_endless(target: Mapping[str, Any], usage: Tokens) -> bool:
    """Does a provider add to the prompt what nobody can bound, since the model's window is not known?"""
    return bool(usage.get("elsewhere")) and _window(target) is None


def _window(target: Mapping[str, Any]) -> int | None:
    return windows.window(target["key_kind"], target["provider"], target["model"])


def _a_picture(target: Mapping[str, Any]) -> int:
    return next(most for name, most in PICTURES if name.search(target["model"]))
