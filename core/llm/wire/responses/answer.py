"""From a response to a message, its tokens, or the failure within. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from core.ids import new_call_id
from core.llm import classify
from core.llm.failures import ContentRefused, ProviderBusy, ProviderError, ProviderRefused
from core.llm.plain import count, mapping, mappings, text
from core.llm.types import Document, FinishReason, Usage, WireAnswer
from core.llm.wire import counts
from core.llm.wire.responses import kept

# From the openai SDK's type `ResponseError` (3.54.0, 2026-11); its other codes are known from errors with a
# status.
CODES: dict[str, type[ProviderError]] = {
    "invalid_prompt": ContentRefused,
    "bio_policy": ContentRefused,
    "misalignment_policy_violation": ContentRefused,
    "image_content_policy_violation": ContentRefused,
    "data_residency_mismatch": ProviderRefused,
    "invalid_image": ProviderRefused,
    "invalid_image_format": ProviderRefused,
    "invalid_base64_image": ProviderRefused,
    "invalid_image_url": ProviderRefused,
    "image_too_large": ProviderRefused,
    "image_too_small": ProviderRefused,
    "image_parse_error": ProviderRefused,
    "invalid_image_mode": ProviderRefused,
    "image_file_too_large": ProviderRefused,
    "unsupported_image_media_type": ProviderRefused,
    "empty_image_file": ProviderRefused,
    "failed_to_download_image": ProviderRefused,
    "image_file_not_found": ProviderRefused,
}
INCOMPLETE: dict[str, FinishReason] = {"content_filter": "content_filter"}
"""By the reason; for any other the answer was cut."""
SEPARATORS = {"summary_text": "\n\n", "reasoning_text": "\n\n"}
"""What stands between the parts of an item; nothing between those of a message."""
ITEMS = frozenset({"message", "reasoning", "function_call"})
PARTS = frozenset({"output_text", "refusal", "summary_text", "reasoning_text", "arguments"})

Words = dict[str, str]
"""The text of an item, by the type of its parts; of a call, its arguments."""


def failure_inside(body: Any) -> ProviderError | None:
    """An error that came with a 200, in one piece or as an event of a stream."""
    body = mapping(body)
    error = body.get("error")
    if not error and body.get("type") == "error":
        error = {name: body.get(name) for name in ("code", "message", "param")}
    if not error and body.get("status") in ("failed", "cancelled"):
        error = {"message": f"the response is {body['status']}", "code": "server_error"}
    code = mapping(error).get("code")
    if isinstance(code, str) and code in CODES:
        return CODES[code](classify.message({"error": error}), http_status=200, by_provider=True)
    known = isinstance(body.get("output"), list) or text(body.get("type")).startswith("response.")
    inside = classify.by_error_inside({"error": error})
    return inside if inside or known else classify.by_error_alone(body)


def from_wire(body: Any) -> WireAnswer:
    """What a response in one piece says. Raises `ProviderBusy` for a body that is none."""
    body = mapping(body)
    if not isinstance(body.get("output"), list):
        raise ProviderBusy("the provider's answer is not a response", http_status=200)
    found = [(item, words(item)) for item in mappings(body["output"])]
    said, reason = message(found), finish(body)
    if reason is None:
        raise ProviderBusy("the provider's response is not complete", http_status=200)
    if reason == "stop" and said["tool_calls"]:
        reason = "tool_calls"
    raw = counts.told(body)
    return WireAnswer(said, reason, usage(raw), raw, unknown(found))


def usage(raw: Any) -> Usage | None:
    """Cached, cache-written and reasoning tokens are parts of input and output. A reported zero is zero."""
    raw = mapping(raw)
    asked, said = count(raw.get("input_tokens")), count(raw.get("output_tokens"))
    if asked is None and said is None:
        return None
    counted = counts.known(tokens_input=asked, tokens_output=said)
    details = mapping(raw.get("input_tokens_details"))
    cached = min(count(details.get("cached_tokens")) or 0, counted.tokens_input)
    written = min(count(details.get("cache_write_tokens")) or 0, counted.tokens_input - cached)
    thought = count(mapping(raw.get("output_tokens_details")).get("reasoning_tokens")) or 0
    return replace(
        counted,
        tokens_cached=cached,
        tokens_cache_write=written,
        tokens_reasoning=min(thought, counted.tokens_output),
    )


def finish(body: Document) -> FinishReason | None:
    """None: it has not ended. A response with calls says no more than that it is complete."""
    status = body.get("status", "completed")
    if status == "incomplete":
        reason = mapping(body.get("incomplete_details")).get("reason")
        return INCOMPLETE.get(text(reason), "length")
    return "stop" if status == "completed" else None


def message(found: list[tuple[Document, Words]]) -> Document:
    """An assistant's message in our form, from the items of a response and the words of each."""
    content = _joined(found, "output_text")
    refusal = _joined(found, "refusal")
    calls = [_tool_call(item, said) for item, said in found if item.get("type") == "function_call"]
    nothing = None if calls or refusal else ""
    answer: Document = {"role": "assistant", "content": content or nothing, "tool_calls": calls or None}
    thoughts = [said.get("summary_text") or said.get("reasoning_text") for _, said in found]
    if reasoning := "\n\n".join(thought for thought in thoughts if thought):
        answer["reasoning"] = reasoning
    if sealed := kept.blocks([(item, said.get("output_text", "")) for item, said in found]):
        answer["thinking_blocks"] = sealed
    return answer | ({"refusal": refusal} if refusal else {})


def unknown(found: list[tuple[Document, Words]]) -> tuple[str, ...]:
    """The types of items, and of parts of messages, that are not understood."""
    kinds = [text(item.get("type")) or "untyped" for item, _ in found]
    return tuple(kind for kind in kinds if kind not in ITEMS) + tuple(
        kind for _, said in found for kind in said if kind not in PARTS
    )


def words(item: Document) -> Words:
    """The text of an item that is complete. A call without arguments has an empty object."""
    if item.get("type") == "function_call":
        return {"arguments": text(item.get("arguments")) or "{}"}
    told: dict[str, list[str]] = {}
    for part in [*mappings(item.get("summary")), *mappings(item.get("content"))]:
        kind = text(part.get("type"))
        told.setdefault(kind, []).append(text(part.get("refusal" if kind == "refusal" else "text")))
    return {kind: SEPARATORS.get(kind, "").join(pieces) for kind, pieces in told.items()}


def _joined(found: list[tuple[Document, Words]], kind: str) -> str:
    return "".join(said.get(kind, "") for _, said in found)


def _tool_call(item: Document, said: Words) -> Document:
    function = {"name": text(item.get("name")), "arguments": said.get("arguments", "")}
    return {"id": text(item.get("call_id")) or new_call_id(), "type": "function", "function": function}
