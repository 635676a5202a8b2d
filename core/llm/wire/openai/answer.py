"""From OpenAI's answer to a message, its tokens, or the failure within. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from core.llm import classify
from core.llm.failures import ProviderBusy, ProviderError
from core.llm.plain import count, mapping, mappings, storable, text
from core.llm.types import Document, FinishReason, Usage, WireAnswer
from core.llm.wire import counts, think
from core.llm.wire.openai import beside, reasoning
from core.llm.wire.openai.calls import tool_calls

# OpenAI's own words, and those of other vendors, in small letters.
FINISHES: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "function_call": "tool_calls",
    "max_tokens": "length",
    "model_length": "length",  # Mistral
    "model_context_window_exceeded": "length",  # Anthropic's, passed on by gateways
    "sensitive": "content_filter",  # Zhipu
    "safety": "content_filter",  # Google's, passed on by gateways
    "refusal": "content_filter",  # Anthropic's
    "eos": "stop",  # Together
    "eos_token": "stop",
    "end_turn": "stop",  # Anthropic's
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
}
# The answer was broken off: OpenRouter, DeepSeek, Zhipu, vLLM.
BROKEN = frozenset({"error", "insufficient_system_resource", "network_error", "abort"})


def failure_inside(body: Any) -> ProviderError | None:
    """An error that came with a 200: MiniMax's, LM Studio's, OpenRouter's (also in a choice), Groq's."""
    choices = mappings(mapping(body).get("choices"))
    for place in (body, *choices, mapping(body).get("x_groq")):
        failure = classify.by_base_resp(place) or classify.by_error_inside(place)
        if failure is not None:
            return failure
    if not isinstance(mapping(body).get("choices"), list) and (alone := classify.by_error_alone(body)):
        return alone
    if any(text(choice.get("finish_reason")).lower() in BROKEN for choice in choices):
        return ProviderBusy("the provider broke the answer off", http_status=200)
    return None


def from_wire(body: Any) -> WireAnswer:
    """What an answer in one piece says. Raises `ProviderBusy` for a body that is no answer."""
    choice = next(iter(mappings(mapping(body).get("choices"))), {})
    said = choice.get("message")
    if not isinstance(said, dict):
        raise ProviderBusy("the provider's answer is not a chat completion", http_status=200)
    content, thought = think.split(text(content_of(said)))
    thoughts, calls = text(reasoning_of(said)) or thought, tool_calls(said)
    refusal = text(beside.refusal(said))
    if not (content or thoughts or refusal or calls or choice.get("finish_reason")):
        raise ProviderBusy("the provider's answer is empty", http_status=200)  # Ollama, now and then
    raw = counts.told(body)
    return WireAnswer(
        message(content, calls, thoughts, refusal)
        | beside.joined(mapping(body), said)
        | kept_for_later({**said, "logprobs": choice.get("logprobs")}, calls),
        finish(choice),
        usage(raw),
        raw,
        beside.unknown(said),
    )


def usage(raw: Any) -> Usage | None:
    """Cached and reasoning tokens are parts of prompt and completion. A reported zero is zero.

    Gateways to other APIs tell input and output under the names of those.
    """
    raw = mapping(raw)
    asked, said = (
        _either(raw, "prompt_tokens", "input_tokens"),
        _either(raw, "completion_tokens", "output_tokens"),
    )
    total = count(raw.get("total_tokens"))
    if asked is None and said is None:
        return None if total is None else counts.known(tokens_input=None, tokens_output=None, together=total)
    if total is not None:
        asked = max(total - (said or 0), 0) if asked is None else asked
        said = max(total - asked, 0) if said is None else said
    reasoning = count(mapping(raw.get("completion_tokens_details")).get("reasoning_tokens")) or 0
    if total is not None and asked is not None and said is not None and total > asked + said:
        # xAI (docs.x.ai) and Google (ai.google.dev/gemini-api/docs/openai) count reasoning beside the
        # completion, which Google tells in the total alone; read 2026-11
        reasoning = reasoning or total - asked - said
        said = total - asked
    counted = counts.known(tokens_input=asked, tokens_output=said)
    cached = min(_cached(raw), counted.tokens_input)
    written = count(mapping(raw.get("prompt_tokens_details")).get("cache_write_tokens")) or 0
    return replace(
        counted,
        tokens_cached=cached,
        tokens_cache_write=min(written, counted.tokens_input - cached),
        tokens_reasoning=min(reasoning, counted.tokens_output),
    )


def _either(raw: Document, *names: str) -> int | None:
    return next((found for name in names if (found := count(raw.get(name))) is not None), None)


def _cached(raw: Document) -> int:
    """OpenAI's place, DeepSeek's and Moonshot's."""
    details = mapping(raw.get("prompt_tokens_details"))
    places = (details.get("cached_tokens"), raw.get("prompt_cache_hit_tokens"), raw.get("cached_tokens"))
    return next((found for found in map(count, places) if found), 0)


def message(content: str, calls: list[Document], thoughts: str, refusal: str) -> Document:
    """An assistant's message in our form."""
    nothing = None if calls or refusal else ""
    said: Document = {"role": "assistant", "content": content or nothing, "tool_calls": calls or None}
    if thoughts:
        said["reasoning"] = thoughts
    if refusal:
        said["refusal"] = refusal
    return said


def kept_for_later(said: Document, calls: list[Document]) -> Document:
    """What the vendor may want back: `reasoning.going_back` reads it."""
    found: Document = {}
    if details := reasoning.joined(said.get("reasoning_details")):
        found["reasoning_details"] = details
    if probable := mapping(said.get("logprobs")):
        found["logprobs"] = storable(probable)
    name = reasoning.came_as(said)
    if name and (said[name] or calls or details):
        found["reasoning_from"] = name
    return found


def finish(choice: Document) -> str | None:
    """Some vendors say "" with each chunk, until there is a reason."""
    said = text(choice.get("finish_reason")).strip()
    return FINISHES.get(said.lower(), said) or None


def content_of(said: Document) -> str:
    """Text, that of parts, or what is said aloud, as it came: `core.llm.plain.text` makes it whole."""
    content = said.get("content")
    written = _joined(content, "text") if isinstance(content, list) else _string(content)
    return written or beside.transcript(said)


def reasoning_of(said: Document) -> str:
    """`reasoning_content` (DeepSeek, MiniMax), `reasoning` (Groq, OpenRouter, Ollama), or parts (Mistral)."""
    told = _string(said.get("reasoning_content")) or _string(said.get("reasoning"))
    return told or _thoughts(said.get("content"))


def _thoughts(content: Any) -> str:
    """https://docs.mistral.ai/capabilities/reasoning, read 2026-11: a part of type `thinking` has parts."""
    within = [part.get("thinking") for part in mappings(content) if part.get("type") == "thinking"]
    return "".join(_joined(one, "text") if isinstance(one, list) else _string(one) for one in within)


def _joined(parts: list[Any], name: str) -> str:
    return "".join(_string(part.get(name)) for part in mappings(parts))


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
