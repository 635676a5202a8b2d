"""Estimates: the most that a call may reasonably cost, before it is made. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from core import tokens
from core.llm import windows
from core.llm.keyring import is_keyed
from core.llm.records import PlannedTarget
from core.metering.prices import NOTHING, Prices, Table

Document = dict[str, Any]

Cost = tuple[PlannedTarget, Decimal | None]
"""A target of a plan, and the most that a call to it may cost, in USD; None: the price is not known."""
Tokens = Mapping[str, int]
"""`tokens_input` and `tokens_output` of a call, at most."""


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
    said = request.get("max_tokens") or of_agent.get("max_tokens") or tokens.ANSWER
    asked = tokens.at_most(request.get("messages") or [], request.get("tools"), of_agent.get("system_prompt"))
    if request.get("conversation_id") is not None:  # its history is added by the worker
        first: PlannedTarget = plan["targets"][0]
        window = windows.window(first["key_kind"], first["provider"], first["model"])
        asked = max(asked, window or unknown_window)
    return {"tokens_input": asked, "tokens_output": said}


def cost(target: Mapping[str, Any], usage: Tokens, prices: Prices, own: Table = NOTHING) -> Decimal | None:
    """What a call that uses so much costs, in USD; None: nobody knows the price.

    An endpoint of a user's own is free where no key goes with it; with one it costs what the workspace says.
    """
    if target["key_kind"] == "custom" and is_keyed(target) and not prices.of_workspaces(target, own):
        return None
    return prices.of({**target, "usage": usage}, own).cost
