"""Which of OpenAI's two APIs a call speaks: what its model needs, or what OpenAI itself asked for.

OpenAI alone has both. A custom endpoint, and an agent whose `llm_config` says `wire`, speak what they were
given.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from core.llm.failures import ProviderError, ProviderRefused
from core.llm.types import ChatRequest, Target, WireName

Needs = Callable[[ChatRequest], bool]


def _always(request: ChatRequest) -> bool:
    return True


def _with_tools(request: ChatRequest) -> bool:
    """These models reason unless they are told not to, and OpenAI calls that an effort."""
    return bool(request.parameters.get("tools")) and request.parameters.get("reasoning_effort") != "none"


def _with_tools_and_effort(request: ChatRequest) -> bool:
    return _with_tools(request) and request.parameters.get("reasoning_effort") is not None


# The first row that fits. Fine-tuned and dated names are of the same family.
FAMILIES: tuple[tuple[re.Pattern[str], Needs], ...] = (
    # What the openai SDK's type `ResponsesModel` has beside `ChatModel` (3.54.0, 2026-11), and their like:
    # "only supported in v1/responses" (https://github.com/alvinunreal/tmuxai/issues/82, 2025-10)
    (re.compile(r"[^:]*-(pro|codex|deep-research|cyber|rosalind|law)\b"), _always),
    (re.compile(r"(computer-use|codex|gpt-daybreak|gpt-rosalind)-"), _always),
    # https://github.com/openai/openai-openapi/issues/541 (2026-05), read 2026-11
    (re.compile(r"gpt-5\.[45](?!\d)"), _with_tools_and_effort),
    # https://github.com/BerriAI/litellm/pull/34569 (2026-07), read 2026-11; later models follow it
    (re.compile(r"gpt-(5\.([6-9]|\d\d)|[6-9]|\d\d)"), _with_tools),
)
REFUSED: dict[WireName, tuple[str, WireName]] = {
    "openai": ("v1/responses", "responses"),
    "responses": ("v1/chat/completions", "openai"),
}
"""By the API that refuses: the words by which it names the other one."""
MOST = 10_000

_heard: dict[tuple[str, str, bool], WireName] = {}
"""What OpenAI asked for, by address, model and whether tools were there; as long as the process lives."""


def spoken(target: Target, request: ChatRequest) -> Target:
    """The target with the wire that this call speaks."""
    if not _may_choose(target):
        return target
    heard = _heard.get(_key(target, request))
    return replace(target, wire=heard or ("responses" if _needs_responses(target, request) else "openai"))


def heard(error: ProviderError, target: Target, request: ChatRequest) -> bool:
    """Did OpenAI refuse a call because it belongs to the other API? From now on it goes there.

    `target`: with the wire that was spoken. False if that one was OpenAI's own wish.
    """
    words, other = REFUSED.get(target.wire, ("", target.wire))
    key = _key(target, request)
    if not isinstance(error, ProviderRefused) or not _may_choose(target) or words not in error.detail:
        return False
    if _heard.get(key) == target.wire:
        return False
    if len(_heard) >= MOST:
        _heard.clear()
    _heard[key] = other
    return True


def _may_choose(target: Target) -> bool:
    return target.provider == "openai" and target.key_kind != "custom" and not target.wire_given


def _needs_responses(target: Target, request: ChatRequest) -> bool:
    name = target.model.removeprefix("ft:")
    return next((needs(request) for family, needs in FAMILIES if family.match(name)), False)


def _key(target: Target, request: ChatRequest) -> tuple[str, str, bool]:
    return target.base_url, target.model, bool(request.parameters.get("tools"))
