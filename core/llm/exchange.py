"""One call to one provider: what is sent, what is understood of the answer, and the record of it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, get_args

from core.clock import utcnow
from core.llm import classify, form, guesses, strange, whole
from core.llm.failures import ProviderBusy, ProviderError, ProviderRefused, StreamBroken
from core.llm.records import Call
from core.llm.redact import redact
from core.llm.sse import Parser
from core.llm.transport import named_failures
from core.llm.types import (
    ChatAnswer,
    ChatRequest,
    Document,
    FinishReason,
    KeyKind,
    Target,
    Usage,
    UsageStatus,
    WireAnswer,
)
from core.llm.wire import WIRES, AnswerStream, Wire, counts
from core.llm.wire.openai import reasoning
from core.outbound.transport import Answer, Transport

Emit = Callable[[Document], None]
Before = Callable[[Call, Target], None]
"""Called with the record of a call that is about to be made; raises what is to keep it from being made."""

MOST_NOTED = 20
"""Parts of one answer that nobody knows."""
GUARDED: KeyKind = "custom"
KNOWN: dict[str, FinishReason] = {reason: reason for reason in get_args(FinishReason)}
REQUEST_ID_HEADERS = ("x-request-id", "request-id")


@dataclass(frozen=True)
class Exchange:
    """What all calls of one chat share.

    `calls` is the caller's: a record is added when a call starts and completed in place, so that a call which
    is cut off from outside can be seen. `before`: see `Before`.
    """

    request: ChatRequest
    transport: Transport
    calls: list[Call]
    emit: Emit | None
    before: Before | None = None

    def call(self, target: Target) -> ChatAnswer:
        """Ask once. Raises a `ProviderError`, its detail redacted, the record complete."""
        record = _record(target, len(self.calls))
        if self.before is not None:
            self.before(record, target)
        self.calls.append(record)
        try:
            answer = self._timed(target, record)
        except ProviderError as error:
            error.detail = redact(error.detail, target.api_key)
            begun = record["http_status"] == 200 and not error.by_provider
            record |= {
                "outcome": error.code,
                "detail": error.detail,
                "possibly_charged": error.possibly_charged or begun,
                "http_status": record["http_status"] or error.http_status,
            }
            if not record["possibly_charged"] and record["usage_raw"] is None:
                record |= guesses.NOTHING
            raise
        record |= {
            "outcome": "ok",
            "possibly_charged": False,
            "usage": answer.usage.public(),
            "usage_raw": answer.usage_raw,
            "usage_status": answer.usage_status,
            "output_tokens_per_second": speed(record, answer),
        }
        return answer

    def _timed(self, target: Target, record: Call) -> ChatAnswer:
        """A request that the provider's format cannot express is refused before the clock starts."""
        wire = WIRES[target.wire]
        body = json.dumps(wire.to_wire(self.request, target)).encode()
        started = time.monotonic()
        try:
            return self._exchanged(wire, target, body, record, started)
        finally:
            record["latency_ms"] = int((time.monotonic() - started) * 1000)

    def _exchanged(self, wire: Wire, target: Target, body: bytes, record: Call, started: float) -> ChatAnswer:
        posted = self.transport.post(
            f"{target.base_url}{wire.PATH}",
            wire.headers(target),
            body,
            guarded=target.key_kind == GUARDED,
            stream=self.request.stream,
            sending=lambda: self._sending(target, record),
        )
        with named_failures(), posted as answer:
            record["http_status"] = answer.status
            record["provider_request_id"] = _request_id(answer, target)
            if 300 <= answer.status < 400:
                raise ProviderRefused(f"a redirect ({answer.status}), which is not followed")
            if answer.status != 200:
                body = whole.parsed(answer.body())
                if not classify.is_known(body):
                    strange.note(target, record, "error", classify.message(body))
                raise classify.by_status(answer.status, body, answer.headers)
            chunks = answer.chunks() if self.request.stream else answer.moving()
            kind = answer.headers.get("Content-Type", "")
            is_stream, chunks = form.seen(chunks, kind, self.request.stream)
            if is_stream:
                return self._streamed(wire, answer, chunks, target, record, started)
            return self._whole(wire, answer, chunks, target, record)

    def _sending(self, target: Target, record: Call) -> None:
        """Until the answer says what it used: whatever cuts it off from now on, it may be charged."""
        guess = guesses.at_most(self.request, target.wire).public()
        record |= {"possibly_charged": True, "usage": guess, "usage_status": "estimated"}

    def _whole(
        self, wire: Wire, answer: Answer, chunks: Iterator[bytes], target: Target, record: Call
    ) -> ChatAnswer:
        """An answer in one piece, which may have been asked for as a stream."""
        raw = whole.read(answer, chunks, self.transport.most_bytes)
        with whole.turn(raw):
            found = self._understood(wire, raw, target, record)
        if self.request.stream and self.emit is not None:
            self._emit_whole(self.emit, found.message)
        return found

    def _understood(self, wire: Wire, raw: bytes, target: Target, record: Call) -> ChatAnswer:
        body = whole.parsed(raw)
        told = counts.told(body)
        self._note(target, record, wire.usage(told), told)
        failure = wire.failure_inside(body)
        if failure is not None:
            raise failure
        if isinstance(body, str):
            no_json, is_page = f"the provider's answer is not JSON: {body}", not raw.lstrip().startswith(b"{")
            raise ProviderBusy(no_json, http_status=200, by_provider=is_page)
        return self._answer(target, record, wire.from_wire(body))

    def _emit_whole(self, emit: Emit, message: Document) -> None:
        for kind in ("reasoning", "content"):
            if message.get(kind):
                emit({"type": kind, "content": message[kind]})
        for n, call in enumerate(message.get("tool_calls") or []):
            emit({"type": "tool_call", "tool_call": {"index": n, **call}})

    def _streamed(
        self,
        wire: Wire,
        answer: Answer,
        chunks: Iterator[bytes],
        target: Target,
        record: Call,
        started: float,
    ) -> ChatAnswer:
        """Emits deltas as they come. After the first one the call is not repeated; its words are not lost."""
        stream, said = wire.Stream(), 0
        try:
            for event in _events(answer, chunks, stream):
                for delta in stream.feed(event):
                    if not said:
                        record["first_token_ms"] = math.ceil((time.monotonic() - started) * 1000)
                    said += len(delta.get("content") or str(delta))
                    answer.progress()
                    if self.emit is not None:
                        self.emit(delta)
                if said > self.transport.most_bytes:
                    raise ProviderBusy("the answer is larger than allowed", http_status=200)
            if not stream.complete:
                raise ProviderBusy("the stream ended before the answer did", http_status=200)
            for delta in stream.end():
                if self.emit is not None:
                    self.emit(delta)
        except ProviderError as error:
            if not said:
                told = stream.answer()
                self._note(target, record, told.usage, told.usage_raw)
                raise
            broken = StreamBroken(error.detail, http_status=error.http_status)
            broken.partial = self._partial(target, stream, record).message
            raise broken from None
        except BaseException:  # a cancellation, say: the words that came count all the same
            if said:
                self._partial(target, stream, record)
            raise
        return self._answer(target, record, stream.answer())

    def _note(self, target: Target, record: Call, told: Usage | None, raw: Document | None) -> None:
        """What the provider told of its usage counts, whatever becomes of its answer."""
        if told is not None:
            usage = guesses.filled(told, lambda: guesses.at_most(self.request, target.wire))
            record |= {"usage": usage.public(), "usage_raw": raw, "usage_status": _status(told)}

    def _partial(self, target: Target, stream: AnswerStream, record: Call) -> ChatAnswer:
        """The answer up to the point where its stream broke off; its tokens, as far as they are known."""
        partial = self._answer(target, record, stream.answer())
        guess = guesses.about(self.request, partial.message)
        said = max(partial.usage.tokens_output, guess.tokens_output)  # the provider's count comes at the end
        usage = replace(partial.usage, tokens_output=said)
        record |= {"usage": usage.public(), "usage_raw": partial.usage_raw, "usage_status": "estimated"}
        return partial

    def _answer(self, target: Target, record: Call, found: WireAnswer) -> ChatAnswer:
        message, finish_reason, told = found.message, found.finish_reason, found.usage
        for part in found.unknown[:MOST_NOTED]:
            strange.note(target, record, "part", part)
        if finish_reason is not None and finish_reason not in KNOWN:
            record["finish_reason"] = strange.note(target, record, "finish_reason", finish_reason)
        return ChatAnswer(
            message=_with_origin(message, target),
            finish_reason=borne_out(finish_reason, message),
            provider=target.provider,
            model=target.model,
            usage=guesses.filled(told, lambda: guesses.about(self.request, message)),
            usage_status=_status(told),
            usage_raw=found.usage_raw,
        )


def _request_id(answer: Answer, target: Target) -> str | None:
    for name in REQUEST_ID_HEADERS:
        if name in answer.headers:
            return redact(answer.headers[name], target.api_key, shapes=False)[:100]
    return None


def _status(told: Usage | None) -> UsageStatus:
    return "estimated" if told is None or told.untold else "reported"


def borne_out(told: str | None, message: Document) -> FinishReason:
    """The reason, as the message bears it out: agents' loops look at this word alone.

    Google and xAI say `stop` after calls, others `tool_calls` without any
    (https://github.com/googleapis/python-genai/issues/2868, https://github.com/mastra-ai/mastra/pull/14187,
    read 2026-11).
    """
    reason = KNOWN.get(told or "", "stop")
    if reason in ("stop", "tool_calls"):
        return "tool_calls" if message.get("tool_calls") else "stop"
    return reason


def _with_origin(message: Document, target: Target) -> Document:
    """The name under which reasoning came, and the mark of the endpoint that it came from."""
    name = message.get("reasoning_from")
    return message if name is None else {**message, "reasoning_from": f"{name}@{reasoning.origin(target)}"}


def _events(answer: Answer, chunks: Iterator[bytes], stream: AnswerStream) -> Iterator[Any]:
    """The events up to the one that ends the answer. A failure after the answer is whole does no harm."""
    parser = Parser()
    try:
        with named_failures():
            for chunk in chunks:
                yield from parser.feed(chunk)
                if stream.done:
                    answer.drain()
                    return
        yield from parser.close()
    except ProviderError:
        if not stream.complete:
            raise


def _record(target: Target, n: int) -> Call:
    return {
        "n": n,
        "provider": target.provider,
        "model": target.model,
        "key_kind": target.key_kind,
        "tier": target.tier,
        "outcome": "in_flight",
        "possibly_charged": False,
        "http_status": None,
        "latency_ms": None,
        "first_token_ms": None,
        "output_tokens_per_second": None,
        "provider_request_id": None,
        "started_at": utcnow(),
        "usage": None,
        "usage_raw": None,
        "usage_status": None,
        "detail": None,
    }


def speed(record: Call, answer: ChatAnswer) -> float | None:
    """Output tokens a second from the first delta on, as far as that took time.

    Reasoning that was not shown was over by then: its tokens do not count.
    """
    first, whole = record.get("first_token_ms"), record["latency_ms"]
    if first is None or whole is None or whole <= first:
        return None
    hidden = 0 if answer.message.get("reasoning") else answer.usage.tokens_reasoning
    return round(max(0, answer.usage.tokens_output - hidden) * 1000 / (whole - first), 1) or None
