"""Estimates: the most that a call may reasonably cost, before it is made. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from core.errors import Invalid
from core.metering.prices import NOTHING, Prices, Table

Document = dict[str, Any]

BYTES_A_TOKEN = 3
"""About four letters make a token (openai.com/tokenizer); three, to be on the safe side."""
TOKENS_AN_IMAGE = 1500
"""Above what vendors count for a picture of ordinary size (1,105 at 1024 x 1024: OpenAI's vision guide)."""
TOKENS_SAID = 4096
"""What an answer is taken for where no `max_tokens` is set; one that is longer overshoots the budget."""


def largest_cost(
    targets: Iterable[Mapping[str, Any]],
    request: Mapping[str, Any],
    prices: Prices,
    own: Table = NOTHING,
    *,
    system_prompt: str | None = None,
) -> Decimal:
    """What the dearest of a plan's targets would cost, in USD. `request`: messages, tools, max_tokens.

    Raises `Invalid` for a model whose price is not known: a hard budget cannot be kept for it.
    """
    asked = tokens_asked(request) + len((system_prompt or "").encode()) // BYTES_A_TOKEN
    usage = {"tokens_input": asked, "tokens_output": request.get("max_tokens") or TOKENS_SAID}
    costs = []
    for target in targets:
        price = prices.of({**target, "usage": usage}, own)
        if price.cost is None:
            raise Invalid(
                f"this key has a budget, but the price of {target['provider']}/{target['model']} is unknown: "
                "set one for the workspace",
                code="price_unknown",
            )
        costs.append(price.cost)
    return max(costs, default=Decimal(0))


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
