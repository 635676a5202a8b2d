"""Parameters in OpenAI's words: (value, request, target) to fields of the body; none: left out. Pure."""

from __future__ import annotations

import re

from core.llm import providers
from core.llm.types import ChatRequest, Document, Target

# o1, o3, o4-mini, gpt-5 and what followed, fine-tuned ones too: they answer 400 to `max_tokens`, to a
# temperature and to `top_p` (https://platform.openai.com/docs/guides/reasoning,
# https://github.com/openai/openai-python/issues/2072, read 2026-11).
REASONING_MODEL = re.compile(r"^(ft:)?(o\d|gpt-[5-9])")


def max_tokens(value: int, request: ChatRequest, target: Target) -> Document:
    return {"max_completion_tokens" if _reasons(target) else "max_tokens": value}


def temperature(value: float, request: ChatRequest, target: Target) -> Document:
    """Moved into the range of a vendor whose range is smaller, left out for models that take none.

    An agent's setting must not keep the next provider of its chain from answering.
    """
    if _reasons(target):
        return {}
    habits = providers.habits(target)
    return {"temperature": min(max(value, habits.coldest), habits.hottest)}


def top_p(value: float, request: ChatRequest, target: Target) -> Document:
    return {} if _reasons(target) else {"top_p": value}


def _reasons(target: Target) -> bool:
    return target.provider == "openai" and REASONING_MODEL.match(target.model) is not None
