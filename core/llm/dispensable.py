"""What a call can do without where an endpoint refuses it: it is asked once more, at once, without it.

Each is our own addition, or a help that an answer does not need; nothing that a caller named is among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import structlog

from core.llm.failures import ProviderError, StreamBroken
from core.llm.types import ChatRequest, Dispensable, Target, WireName

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Row:
    """`words`: one of them names it in a refusal; in small letters, without back quotes.

    `there`: is it in this request?
    `remembered`: the endpoint never takes it; otherwise this request's was wrong.
    """

    name: Dispensable
    wire: WireName
    words: tuple[str, ...]
    there: Callable[[ChatRequest], bool]
    remembered: bool


def _was_thought(request: ChatRequest) -> bool:
    return any(message.get("thinking_blocks") for message in request.messages)


def _has_bare_turns(request: ChatRequest) -> bool:
    said = [message for message in request.messages if message.get("role") == "assistant"]
    return any(not (message.get("reasoning_content") or message.get("reasoning")) for message in said)


ROWS = (
    # "Extra inputs are not permitted, field: 'stream_options'" (Fireworks in 2024, Azure, Mistral, vLLM:
    # https://github.com/FlowiseAI/Flowise/issues/2866, https://github.com/microsoft/semantic-kernel/issues/10510,
    # read 2026-11). Without it no usage may be told, and it is estimated.
    Row("stream_options", "openai", ("stream_options",), lambda request: request.stream, remembered=True),
    # `invalid_encrypted_content`, "The encrypted content … could not be verified": now and then, and after a
    # change of the key (https://github.com/openai/codex/issues/8145,
    # https://github.com/maximhq/bifrost/pull/5892, read 2026-11).
    Row(
        "reasoning",
        "responses",
        ("encrypted content",),
        _was_thought,
        remembered=False,
    ),
    # "Missing `reasoning_content` field in the assistant message at message index 2": DeepSeek and Kimi,
    # where a client has dropped what it was told (https://github.com/charmbracelet/crush/issues/2696, read
    # 2026-11).
    Row(
        "bare_turns", "openai", ("reasoning_content", "reasoning content"), _has_bare_turns, remembered=False
    ),
    # "messages.1.content.0: Invalid `signature` in `thinking` block": after a change of the model or of what
    # was said before (https://github.com/anthropics/anthropic-sdk-python/issues/1598,
    # https://github.com/anomalyco/opencode/issues/48637, read 2026-11).
    Row(
        "reasoning",
        "anthropic",
        ("signature in thinking", "latest assistant message cannot be modified"),
        _was_thought,
        remembered=False,
    ),
)
MOST = 10_000

_never_taken: set[tuple[str, Dispensable]] = set()
"""By address; as long as the process lives."""


def spared(target: Target, left_out: Iterable[Dispensable]) -> Target:
    """The target, told what to do without: what it never takes, and what was left out of this call."""
    never = (row.name for row in ROWS if (target.base_url, row.name) in _never_taken)
    return replace(target, without=frozenset((*never, *left_out)))


def refused(error: ProviderError, target: Target, request: ChatRequest) -> Dispensable | None:
    """What the endpoint refused that the call can do without, if it is that.

    `target`: as it was asked. None also for what was left out already.
    """
    if isinstance(error, StreamBroken):
        return None
    sent = (row for row in ROWS if row.wire == target.wire and row.name not in target.without)
    said = error.detail.lower().replace("`", "")
    for row in sent:
        if any(words in said for words in row.words) and row.there(request):
            _remember(row, target)
            return row.name
    return None


def _remember(row: Row, target: Target) -> None:
    log.info("provider.without", provider=target.provider, what=row.name, remembered=row.remembered)
    if row.remembered:
        if len(_never_taken) >= MOST:
            _never_taken.clear()
        _never_taken.add((target.base_url, row.name))
