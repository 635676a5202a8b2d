"""From OpenAI's answer to a message, its tokens, or the failure within. Pure."""

from __future__ import annotations

import json
from typing import Any

from core.llm import classify
from core.llm.failures import ProviderBusy, ProviderError
from core.llm.plain import count, mapping, mappings, storable, text
from core.llm.types import Document, FinishReason, Usage, WireAnswer
from core.llm.wire import think

# OpenAI's own words, and those of other vendors.
FINISHES: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "function_call": "tool_calls",
    "max_tokens": "length",
    "model_length": "length",  # Mistral
    "sensitive": "content_filter",  # Zhipu
}


def failure_inside(body: Any) -> ProviderError | None:
    """An error that came with a 200: MiniMax's, LM Studio's, OpenRouter's (also in a choice), Groq's."""
    choices = mappings(mapping(body).get("choices"))
    for place in (body, *choices, mapping(body).get("x_groq")):
        failure = classify.by_base_resp(place) or classify.by_error_inside(place)
        if failure is not None:
            return failure
    if any(choice.get("finish_reason") == "error" for choice in choices):
        return ProviderBusy("the provider broke the answer off", http_status=200)
    return None


def from_wire(body: Any) -> WireAnswer:
    """What an answer in one piece says. Raises `ProviderBusy` for a body that is no answer."""
    choice = next(iter(mappings(mapping(body).get("choices"))), {})
    said = choice.get("message")
    if not isinstance(said, dict):
        raise ProviderBusy("the provider's answer is not a chat completion", http_status=200)
    content, thought = think.split(content_of(said))
    reasoning, refusal, calls = reasoning_of(said) or thought, text(said.get("refusal")), tool_calls(said)
    if not (content or reasoning or refusal or calls or choice.get("finish_reason")):
        raise ProviderBusy("the provider's answer is empty", http_status=200)  # Ollama, now and then
    raw = body.get("usage")
    return (
        message(content, calls, reasoning, refusal),
        finish(choice),
        usage(raw),
        storable(raw) if isinstance(raw, dict) else None,
    )


def usage(raw: Any) -> Usage | None:
    """Cached and reasoning tokens are parts of prompt and completion. A reported zero is zero."""
    raw = mapping(raw)
    asked, said = count(raw.get("prompt_tokens")), count(raw.get("completion_tokens"))
    if asked is None or said is None:
        return None
    cached = count(mapping(raw.get("prompt_tokens_details")).get("cached_tokens")) or 0
    reasoning = count(mapping(raw.get("completion_tokens_details")).get("reasoning_tokens")) or 0
    return Usage(
        tokens_input=asked,
        tokens_output=said,
        tokens_cached=min(cached, asked),
        tokens_reasoning=min(reasoning, said),
    )


def message(content: str, calls: list[Document], reasoning: str, refusal: str) -> Document:
    """An assistant's message in our form."""
    nothing = None if calls or refusal else ""
    said: Document = {"role": "assistant", "content": content or nothing, "tool_calls": calls or None}
    if reasoning:
        said["reasoning"] = reasoning
    if refusal:
        said["refusal"] = refusal
    return said


def finish(choice: Document) -> FinishReason | None:
    said = choice.get("finish_reason")
    return FINISHES.get(said, "stop") if isinstance(said, str) else None


def content_of(said: Document) -> str:
    """Text, or the text of a list of parts."""
    content = said.get("content")
    if isinstance(content, list):
        return "".join(text(part.get("text")) for part in mappings(content))
    return text(content)


def reasoning_of(said: Document) -> str:
    """`reasoning_content` (DeepSeek, MiniMax) or `reasoning` (Groq, OpenRouter, Ollama)."""
    return text(said.get("reasoning_content")) or text(said.get("reasoning"))


def tool_calls(said: Document) -> list[Document]:
    """The calls, with the fields that a vendor adds: it may want them back."""
    calls = mappings(said.get("tool_calls"))
    return [_tool_call(call, n) for n, call in enumerate(calls) if isinstance(call.get("function"), dict)]


def _tool_call(call: Document, n: int) -> Document:
    function = call["function"]
    return {
        **storable({key: value for key, value in call.items() if key != "index"}),
        "id": text(call.get("id")) or f"call_{n}",
        "type": "function",
        "function": {"name": text(function.get("name")), "arguments": arguments(function.get("arguments"))},
    }


def arguments(value: Any) -> str:
    """JSON as text; some local servers send it as an object."""
    return json.dumps(storable(value)) if isinstance(value, dict) else text(value)
