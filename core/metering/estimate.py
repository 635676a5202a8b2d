"""Estimates: the most that a call may reasonably cost, before it is made. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from core.llm import windows
from core.metering.prices import NOTHING, Prices, Table

Document = dict[str, Any]

BYTES_A_TOKEN = 3
"""About four letters make a token (openai.com/tokenizer); three, to be on the safe side."""
TOKENS_AN_IMAGE = 1500
"""Above what vendors count for a picture of ordinary size (1,105 at 1024 x 1024: OpenAI's vision guide)."""
TOKENS_SAID = 4096
"""What an answer is taken for where no `max_tokens` is set; one that is longer overshoots the budget."""


Cost = tuple[Mapping[str, Any], Decimal | None]
"""A target of a plan, and the most in USD that a call to it may cost; None: its price is not known."""


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

    `plan`, `request`: as a job carries them. `unknown_window`: the tokens that a conversation may fill of a
    model that no public table knows.
    """
    of_agent = plan.get("agent") or {}
    prompt = len((of_agent.get("system_prompt") or "").encode()) // BYTES_A_TOKEN
    said = request.get("max_tokens") or of_agent.get("max_tokens") or TOKENS_SAID
    asked = tokens_asked(request) + prompt
    if request.get("conversation_id") is not None:  # its history is added by the worker
        first = plan["targets"][0]
        asked = max(asked, windows.known(first["provider"], first["model"]) or unknown_window)
    usage = {"tokens_input": asked, "tokens_output": said}
    return [(target, prices.of({**target, "usage": usage}, own).cost) for target in plan["targets"]]


def tokens_asked(request: Mapping[str, Any]) -> int:
    """The tokens of messages and tools, about; a picture counts the same whatever its bytes."""
    images = 0

    def without_images(part: Any) -> Any:
        nonlocal images
        if isinstance(part, dict):
            if part.get("type") in ("image_url", "image", "input_image"):
                images += 1
                return None
            return {name: without_images(value) for name, value in part.items()}
        return [without_images(one) for one in part] if isinstance(part, list) else part

    said = without_images([request.get("messages") or [], request.get("tools") or []])
    text = json.dumps(said, ensure_ascii=False).encode()
    return len(text) // BYTES_A_TOKEN + 1 + images * TOKENS_AN_IMAGE
