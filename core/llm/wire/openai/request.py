"""From a chat to the body of OpenAI's request. Pure."""

from __future__ import annotations

from core.llm import parameters, providers
from core.llm.plain import mappings
from core.llm.providers import Habits
from core.llm.types import ChatRequest, Document, Target
from core.llm.wire import think

OURS = ("reasoning", "reasoning_content", "thinking_blocks")
CALL_FIELDS = ("id", "type", "function", "custom")


def headers(target: Target) -> dict[str, str]:
    return {"Authorization": f"Bearer {target.api_key}"} if target.api_key else {}


def to_wire(request: ChatRequest, target: Target) -> Document:
    """The JSON body of a request. Raises `ProviderRefused` for what this wire cannot say."""
    habits = providers.habits(target)
    messages = [_message(message, target, habits) for message in request.with_system()]
    body: Document = {**parameters.said(request, target), "model": target.model, "messages": messages}
    if request.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def _message(message: Document, target: Target, habits: Habits) -> Document:
    """The message without the fields that are ours alone: OpenAI and Groq refuse fields they do not know."""
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
    """OpenAI alone knows `refusal`. A custom endpoint may want the fields back that it added to a call."""
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
