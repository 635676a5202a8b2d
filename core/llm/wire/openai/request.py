"""From a chat to the body of OpenAI's request. Pure."""

from __future__ import annotations

from core import tokens
from core.llm import parameters, providers
from core.llm.failures import ProviderRefused
from core.llm.plain import mappings
from core.llm.providers import Habits
from core.llm.translations.openai import cache_key, unmarked
from core.llm.types import ChatRequest, Document, Target
from core.llm.unsaid import AS_ANSWERED
from core.llm.wire import think
from core.llm.wire.openai import reasoning

CALL_FIELDS = ("id", "type", "function", "custom")
NO_NAMES = "this provider takes no names of participants"
NO_THOUGHT = " "
"""DeepSeek and Kimi refuse an assistant's turn without its reasoning, and an empty one."""


def headers(target: Target) -> dict[str, str]:
    return {"Authorization": f"Bearer {target.api_key}"} if target.api_key else {}


def to_wire(request: ChatRequest, target: Target) -> Document:
    """The JSON body of a request. Raises `ProviderRefused` for what this wire cannot say."""
    habits = providers.habits(target)
    messages = [_message(n, message, target, habits) for n, message in enumerate(request.with_system())]
    body: Document = {
        **cache_key(request, target),
        **parameters.said(request, target),
        "model": target.model,
        "messages": messages,
    }
    if request.stream:
        counted = {} if "stream_options" in target.without else {"stream_options": {"include_usage": True}}
        body |= {"stream": True, **counted}
    return body


def _message(n: int, message: Document, target: Target, habits: Habits) -> Document:
    """The message without the fields that are ours alone: OpenAI and Groq refuse fields they do not know."""
    given = tokens.sent(message).items()
    kept = {name: value for name, value in given if value is not None and name not in AS_ANSWERED}
    if not habits.names and "name" in kept:
        if kept["role"] != "tool":  # there it repeats the name of the call
            raise ProviderRefused(f"{NO_NAMES}: leave `name` out of messages[{n}]")
        del kept["name"]
    if kept.get("role") == "developer" and not _is_openai(target):
        kept["role"] = "system"
    if target.key_kind != "custom" and isinstance(kept.get("content"), list):
        kept["content"] = [unmarked(part) for part in mappings(kept["content"])]
    if kept.get("role") == "assistant":
        _as_assistant(kept, target)
        kept |= reasoning.going_back(message, target)
        if "bare_turns" in target.without:
            kept["reasoning_content"] = kept.get("reasoning_content") or NO_THOUGHT
        if habits.thinks_aloud and (thoughts := _reasoning(message)):
            content = kept["content"] if isinstance(kept["content"], str) else ""
            kept["content"] = think.join(content, thoughts)
    return kept


def _as_assistant(kept: Document, target: Target) -> None:
    """OpenAI alone knows `refusal`. A custom endpoint may want the fields back that it added to a call."""
    kept.setdefault("content", None)
    if not _is_openai(target):
        refusal = kept.pop("refusal", None)
        kept["content"] = kept["content"] or refusal
    if "tool_calls" in kept:
        custom = target.key_kind == "custom"
        kept["tool_calls"] = [
            {
                name: value
                for name, value in call.items()
                if name in CALL_FIELDS or (custom and name != "index")
            }
            for call in mappings(kept["tool_calls"])
        ]


def _is_openai(target: Target) -> bool:
    """OpenAI itself: those who copy it know fewer roles and fields."""
    return target.provider == "openai" and target.key_kind != "custom"


def _reasoning(message: Document) -> str | None:
    said = message.get("reasoning") or message.get("reasoning_content")
    return said if isinstance(said, str) else None
