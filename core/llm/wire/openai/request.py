"""From a chat to the body of OpenAI's request. Pure."""

from __future__ import annotations

import re

from core.llm import providers
from core.llm.plain import mappings
from core.llm.providers import Habits
from core.llm.types import ChatRequest, Document, Target
from core.llm.wire import think

# o1, o3, o4-mini, gpt-5 and what followed, fine-tuned ones too: they answer 400 to `max_tokens` and to a
# temperature (https://platform.openai.com/docs/guides/reasoning).
REASONING_MODEL = re.compile(r"^(ft:)?(o\d|gpt-[5-9])")
SAID_AS_GIVEN = ("tools", "tool_choice", "response_format", "stop", "seed")
OURS = ("reasoning", "reasoning_content", "thinking_blocks")
CALL_FIELDS = ("id", "type", "function", "custom")


def headers(target: Target) -> dict[str, str]:
    return {"Authorization": f"Bearer {target.api_key}"} if target.api_key else {}


def to_wire(request: ChatRequest, target: Target) -> Document:
    """The JSON body of a request.

    A temperature is left out for models that take none, and moved into the range of a vendor whose range is
    smaller: an agent's setting must not keep the next provider of its chain from answering.
    """
    habits = providers.habits(target)
    messages = [_message(message, target, habits) for message in request.with_system()]
    body: Document = {"model": target.model, "messages": messages}
    given = {name: getattr(request, name) for name in SAID_AS_GIVEN}
    body |= {name: value for name, value in given.items() if value is not None}
    reasoning = target.provider == "openai" and REASONING_MODEL.match(target.model)
    if request.max_tokens is not None:
        body["max_completion_tokens" if reasoning else "max_tokens"] = request.max_tokens
    if request.temperature is not None and not reasoning:
        body["temperature"] = min(max(request.temperature, habits.coldest), habits.hottest)
    if request.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def _message(message: Document, target: Target, habits: Habits) -> Document:
    """As it was given, without what is ours alone: OpenAI and Groq refuse fields that they do not know."""
    kept = {name: value for name, value in message.items() if value is not None and name not in OURS}
    if not habits.names:
        kept.pop("name", None)
    if kept.get("role") == "assistant":
        _as_assistant(kept, target)
        if habits.thinks_aloud and (reasoning := _reasoning(message)):
            content = kept["content"] if isinstance(kept["content"], str) else ""
            kept["content"] = think.join(content, reasoning)
    return kept


def _as_assistant(kept: Document, target: Target) -> None:
    """OpenAI alone knows `refusal`; what a custom endpoint added to a call, it may want back."""
    kept.setdefault("content", None)
    if target.provider != "openai" or target.key_kind == "custom":
        refusal = kept.pop("refusal", None)
        kept["content"] = kept["content"] or refusal
    if target.key_kind != "custom" and "tool_calls" in kept:
        kept["tool_calls"] = [
            {name: call[name] for name in CALL_FIELDS if name in call}
            for call in mappings(kept["tool_calls"])
        ]


def _reasoning(message: Document) -> str | None:
    said = message.get("reasoning") or message.get("reasoning_content")
    return said if isinstance(said, str) else None
