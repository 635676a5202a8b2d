"""The ids of an answer's tool calls: each has its own, whatever the provider says. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from core.ids import new_call_id
from core.llm.plain import text


def own_id(given: Any, taken: Collection[Any]) -> str:
    """The id that was given, or a new one if there is none, or another call of the answer has it.

    Sent back, an id that stands twice is refused by Anthropic: "ids must be unique".
    """
    id = text(given)
    return id if id and id not in taken else new_call_id()
