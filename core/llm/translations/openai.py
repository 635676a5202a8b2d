"""Parameters in OpenAI's words. Each function returns fields of the body, none to leave it out. Pure."""

from __future__ import annotations

import re

from core.llm import providers
from core.llm.failures import ProviderRefused
from core.llm.translations import schemas
from core.llm.types import ChatRequest, Document, Target

# o1, o3, o4-mini, gpt-5 and later models, fine-tuned ones too, answer `max_tokens`, `temperature` and `top_p`
# with 400 (https://platform.openai.com/docs/guides/reasoning,
# https://github.com/openai/openai-python/issues/2072, read 2026-11).
REASONING_MODEL = re.compile(r"^(ft:)?(o\d|gpt-[5-9])")


def max_tokens(value: int, request: ChatRequest, target: Target) -> Document:
    return {"max_completion_tokens" if reasons(target) else "max_tokens": value}


def temperature(value: float, request: ChatRequest, target: Target) -> Document:
    """Moved into the vendor's range, left out for models that take none.

    It is not refused: an agent's setting must not stop the next provider of its chain from answering.
    """
    if reasons(target):
        return {}
    habits = providers.habits(target)
    return {"temperature": min(max(value, habits.coldest), habits.hottest)}


def top_p(value: float, request: ChatRequest, target: Target) -> Document:
    return {} if reasons(target) else {"top_p": value}


def tools(value: list[Document], request: ChatRequest, target: Target) -> Document:
    """Without Anthropic's marks of what to cache, which OpenAI does not know; a custom endpoint may."""
    if request.stream and any(tool.get("type") == "custom" for tool in value):
        raise ProviderRefused("calls of `custom` tools come in one piece alone: leave `stream` out")
    given = value if target.key_kind == "custom" else [unmarked(tool) for tool in value]
    return schemas.tools(given, request, target)


def unmarked(of: Document) -> Document:
    return {name: value for name, value in of.items() if name != "cache_control"}


def prompt_cache(value: str, request: ChatRequest, target: Target) -> Document:
    """OpenAI and those who copy it cache by themselves."""
    return {}


def cache_key(request: ChatRequest, target: Target) -> Document:
    """By which OpenAI finds the cache of requests that begin alike; a custom endpoint may not know the field.

    https://developers.openai.com/api/docs/guides/prompt-caching, read 2026-11.
    """
    known = target.provider == "openai" and target.key_kind != "custom"
    return {"prompt_cache_key": request.cache_key} if known and request.cache_key else {}


def reasons(target: Target) -> bool:
    return target.provider == "openai" and REASONING_MODEL.match(target.model) is not None


def parallel_tool_calls(value: bool, request: ChatRequest, target: Target) -> Document:
    """OpenAI refuses it where there are no tools, and where it means nothing."""
    return {"parallel_tool_calls": value} if request.parameters.get("tools") else {}
