"""OpenAI's chat completions, as OpenAI and all that copy it speak them. Pure.

Source: https://platform.openai.com/docs/api-reference/chat, read 2026-11.
"""

from __future__ import annotations

import re
from typing import Any

from core.llm import classify
from core.llm.failures import ProviderBusy, ProviderError
from core.llm.types import ChatRequest, Document, Target, Usage

PATH = "/chat/completions"
REASONING_MODEL = re.compile(r"^(o\d|gpt-5)")
THINK = re.compile(r"^\s*<think>(.*?)</think>\s*", re.DOTALL)


def headers(target: Target) -> dict[str, str]:
    return {"Authorization": f"Bearer {target.api_key}"} if target.api_key else {}


def to_wire(request: ChatRequest, target: Target) -> Document:
    """The JSON body of a request."""
    body: Document = {"model": target.model, "messages": _messages(request, target)}
    for name in ("tools", "tool_choice", "response_format", "stop", "seed"):
        value = getattr(request, name)
        if value is not None:
            body[name] = value
    reasoning = target.provider == "openai" and REASONING_MODEL.match(target.model)
    if request.max_tokens is not None:
        body["max_completion_tokens" if reasoning else "max_tokens"] = request.max_tokens
    if request.temperature is not None and not reasoning:
        body["temperature"] = _temperature(request.temperature, target)
    if request.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def failure_inside(body: Any) -> ProviderError | None:
    """An error that came with a 200."""
    return classify.by_base_resp(body) or classify.by_error_inside(body)


def from_wire(body: Any) -> tuple[Document, str | None, Usage | None, Document | None]:
    """(message, finish_reason, usage, raw usage) of a whole answer. Raises `ProviderBusy` for no answer."""
    try:
        choice = body["choices"][0]
        message = choice["message"]
        content, calls = message.get("content"), message.get("tool_calls")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise ProviderBusy("the provider's answer is not a chat completion", http_status=200) from None
    return (
        _answer(content, calls, _reasoning(message), message.get("refusal")),
        choice.get("finish_reason"),
        usage(body.get("usage")),
        body.get("usage"),
    )


def usage(raw: Any) -> Usage | None:
    """Cached and reasoning tokens are parts of prompt and completion. Zero that is reported is zero."""
    if not isinstance(raw, dict) or not isinstance(raw.get("prompt_tokens"), int):
        return None
    prompt, completion = raw.get("prompt_tokens_details") or {}, raw.get("completion_tokens_details") or {}
    return Usage(
        tokens_input=raw["prompt_tokens"],
        tokens_output=int(raw.get("completion_tokens") or 0),
        tokens_cached=int(prompt.get("cached_tokens") or 0),
        tokens_reasoning=int(completion.get("reasoning_tokens") or 0),
    )


class Stream:
    """Gathers the events of a streamed answer. `feed` returns the deltas that an event brought."""

    def __init__(self) -> None:
        self.content: list[str] = []
        self.reasoning: list[str] = []
        self.calls: dict[int, Document] = {}
        self.finish_reason: str | None = None
        self.usage_raw: Document | None = None
        self.done = False

    def feed(self, event: Any) -> list[Document]:
        """Raises a `ProviderError` for an error inside the stream."""
        if event == "[DONE]":
            self.done = True
            return []
        failure = failure_inside(event)
        if failure is not None:
            raise failure
        if not isinstance(event, dict):
            return []
        if isinstance(event.get("usage"), dict):
            self.usage_raw = event["usage"]
        deltas: list[Document] = []
        for choice in event.get("choices") or []:
            deltas += self._choice(choice)
        return deltas

    def _choice(self, choice: Document) -> list[Document]:
        if choice.get("finish_reason"):
            self.finish_reason = choice["finish_reason"]
        delta = choice.get("delta") or {}
        found: list[Document] = []
        if text := delta.get("content"):
            self.content.append(text)
            found.append({"type": "content", "content": text})
        if text := _reasoning(delta):
            self.reasoning.append(text)
            found.append({"type": "reasoning", "content": text})
        for part in delta.get("tool_calls") or []:
            self._tool_call(part)
            found.append({"type": "tool_call", "tool_call": part})
        return found

    def _tool_call(self, part: Document) -> None:
        index = part.get("index", len(self.calls))
        call = self.calls.setdefault(
            index, {"id": None, "type": "function", "function": {"name": "", "arguments": ""}}
        )
        call["id"] = part.get("id") or call["id"]
        function = part.get("function") or {}
        call["function"]["name"] += function.get("name") or ""
        call["function"]["arguments"] += function.get("arguments") or ""

    @property
    def complete(self) -> bool:
        """Did the stream come to its end? Some vendors send no [DONE], some no finish_reason."""
        return self.done or self.finish_reason is not None

    def answer(self) -> tuple[Document, str | None, Usage | None, Document | None]:
        """As `from_wire`, of what came so far."""
        calls = [self.calls[index] for index in sorted(self.calls)]
        message = _answer("".join(self.content), calls or None, "".join(self.reasoning) or None, None)
        return message, self.finish_reason, usage(self.usage_raw), self.usage_raw


def _messages(request: ChatRequest, target: Target) -> list[Document]:
    if "groq.com" not in target.base_url:
        return request.with_system()
    # Groq refuses messages[].name (https://console.groq.com/docs/openai, read 2026-11).
    return [{k: v for k, v in message.items() if k != "name"} for message in request.with_system()]


def _temperature(value: float, target: Target) -> float:
    if target.provider == "minimax":  # (0, 1]: platform.minimax.io, read 2026-11
        return min(max(value, 0.01), 1.0)
    return value


def _reasoning(message: Document) -> str | None:
    return message.get("reasoning_content") or (
        message["reasoning"] if isinstance(message.get("reasoning"), str) else None
    )


def _answer(content: Any, calls: Any, reasoning: str | None, refusal: Any) -> Document:
    if isinstance(content, str) and (thought := THINK.match(content)):
        reasoning = reasoning or thought[1].strip()
        content = content[thought.end() :]
    message: Document = {"role": "assistant", "content": content or None, "tool_calls": calls or None}
    if content == "" and not calls:
        message["content"] = ""
    if reasoning:
        message["reasoning"] = reasoning
    if refusal:
        message["refusal"] = refusal
    return message
