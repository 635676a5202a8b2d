"""The router: asks one target after another until one answers. The story of a chat with its providers."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from core.ids import utcnow
from core.llm import classify
from core.llm.failures import ProviderBusy, ProviderError, StreamBroken
from core.llm.redact import redact
from core.llm.sse import Parser
from core.llm.transport import Answer, Transport
from core.llm.types import ChatAnswer, ChatRequest, Document, Target, Usage
from core.llm.wire import WIRES

Emit = Callable[[Document], None]

GUARDED = "custom"
REQUEST_ID_HEADERS = ("x-request-id", "request-id")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Policy:
    """Seconds. A `Retry-After` above the cap is not waited for: the next target is asked instead."""

    first_pause: float = 0.5
    longest_pause: float = 8.0
    retry_after_cap: float = 20.0


def run(
    request: ChatRequest,
    targets: Sequence[Target],
    *,
    transport: Transport,
    calls: list[Document],
    emit: Emit | None = None,
    policy: Policy | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> ChatAnswer:
    """The first answer that a target gives.

    `calls` is the caller's: a record is added when a call starts and completed in place, so that a call which
    is cut off from outside can be seen. `emit` gets the deltas of a streamed answer. Raises the
    `ProviderError` of the first target when none answered: that is the one the user configured.
    """
    policy = policy or Policy()
    first: ProviderError | None = None
    for target in targets:
        try:
            return _ask(request, target, transport, calls, emit, policy, sleep)
        except ProviderError as error:
            first = first or error
            if not error.fall_back:
                break
    if first is None:
        raise ProviderError("no provider is configured for this agent")
    raise first


def _ask(
    request: ChatRequest,
    target: Target,
    transport: Transport,
    calls: list[Document],
    emit: Emit | None,
    policy: Policy,
    sleep: Callable[[float], None],
) -> ChatAnswer:
    """One target, with retries."""
    tries = 0
    while True:
        try:
            return _call(request, target, transport, calls, emit)
        except ProviderError as error:
            tries += 1
            pause = _pause(error, tries, policy)
            if tries > error.again or pause is None:
                raise
            log.info("provider.again", provider=target.provider, failure=error.code, pause_s=round(pause, 2))
            sleep(pause)


def _pause(error: ProviderError, tries: int, policy: Policy) -> float | None:
    if error.retry_after is not None:
        return error.retry_after if error.retry_after <= policy.retry_after_cap else None
    longest = min(policy.first_pause * 2 ** (tries - 1), policy.longest_pause)
    return random.uniform(longest / 2, longest)  # noqa: S311 - jitter is no secret


def _call(
    request: ChatRequest, target: Target, transport: Transport, calls: list[Document], emit: Emit | None
) -> ChatAnswer:
    """One HTTP call, and its record."""
    call = _record(target, len(calls))
    calls.append(call)
    started = time.monotonic()
    try:
        answer = _exchange(request, target, transport, call, emit)
    except ProviderError as error:
        error.detail = redact(error.detail, [target.api_key])
        call |= {
            "outcome": error.code,
            "detail": error.detail,
            "possibly_charged": error.possibly_charged,
            "http_status": call["http_status"] or error.http_status,
        }
        raise
    finally:
        call["latency_ms"] = int((time.monotonic() - started) * 1000)
    call |= {
        "outcome": "ok",
        "possibly_charged": False,
        "usage": answer.usage.public(),
        "usage_raw": answer.usage_raw,
        "usage_status": answer.usage_status,
    }
    return answer


def _record(target: Target, n: int) -> Document:
    return {
        "n": n,
        "provider": target.provider,
        "model": target.model,
        "key_kind": target.key_kind,
        "tier": target.tier,
        "outcome": "in_flight",
        "possibly_charged": True,
        "http_status": None,
        "latency_ms": None,
        "provider_request_id": None,
        "started_at": utcnow(),
        "usage": None,
        "usage_raw": None,
        "usage_status": None,
        "detail": None,
    }


def _exchange(
    request: ChatRequest, target: Target, transport: Transport, call: Document, emit: Emit | None
) -> ChatAnswer:
    wire = WIRES[target.wire]
    body = json.dumps(wire.to_wire(request, target)).encode()
    url = f"{target.base_url}{wire.PATH}"
    with transport.post(url, wire.headers(target), body, guarded=target.key_kind == GUARDED) as answer:
        call["http_status"] = answer.status
        call["provider_request_id"] = _request_id(answer)
        if answer.status != 200:
            raise classify.by_status(answer.status, _json(answer.body()), answer.headers)
        if request.stream:
            return _streamed(wire, answer, request, target, call, emit)
        return _whole(wire, answer, request, target)


def _whole(wire: Any, answer: Answer, request: ChatRequest, target: Target) -> ChatAnswer:
    body = _json(answer.body())
    failure = wire.failure_inside(body)
    if failure is not None:
        raise failure
    return _answer(request, target, *wire.from_wire(body))


def _streamed(
    wire: Any, answer: Answer, request: ChatRequest, target: Target, call: Document, emit: Emit | None
) -> ChatAnswer:
    """Emits deltas as they come. After the first one nothing is tried again: what was said is kept."""
    stream, parser, emitted = wire.Stream(), Parser(), False
    try:
        for chunk in answer.chunks():
            for event in parser.feed(chunk):
                for delta in stream.feed(event):
                    emitted = True
                    if emit is not None:
                        emit(delta)
            if stream.done:
                break
        for event in parser.close():
            stream.feed(event)
        if not stream.complete:
            raise ProviderBusy("the stream ended before the answer did", http_status=200)
    except ProviderError as error:
        if not emitted:
            raise
        raise _broken(error, request, target, stream, call) from None
    return _answer(request, target, *stream.answer())


def _broken(
    error: ProviderError, request: ChatRequest, target: Target, stream: Any, call: Document
) -> StreamBroken:
    """A stream that broke off after something was said: kept, and counted with what is known."""
    partial = _answer(request, target, *stream.answer())
    call |= {"usage": partial.usage.public(), "usage_raw": partial.usage_raw, "usage_status": "estimated"}
    broken = StreamBroken(error.detail, http_status=error.http_status)
    broken.partial = partial.message
    return broken


def _answer(
    request: ChatRequest,
    target: Target,
    message: Document,
    finish_reason: str | None,
    usage: Usage | None,
    usage_raw: Document | None,
) -> ChatAnswer:
    return ChatAnswer(
        message=message,
        finish_reason=finish_reason or "stop",
        provider=target.provider,
        model=target.model,
        usage=usage or estimate(request, message),
        usage_status="reported" if usage else "estimated",
        usage_raw=usage_raw,
    )


def estimate(request: ChatRequest, message: Document) -> Usage:
    """About four characters a token (openai.com/tokenizer), where a provider tells no usage."""
    asked = json.dumps([request.with_system(), request.tools or []], ensure_ascii=False)
    said = json.dumps([message.get("content"), message.get("tool_calls")], ensure_ascii=False)
    return Usage(tokens_input=len(asked) // 4 + 1, tokens_output=len(said) // 4 + 1)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body[:500].decode(errors="replace")


def _request_id(answer: Answer) -> str | None:
    for name in REQUEST_ID_HEADERS:
        if name in answer.headers:
            return answer.headers[name][:100]
    return None
