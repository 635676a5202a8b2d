"""A job's events as OpenAI's stream of chunks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from core.jobs import signals
from core.jobs.document import Job
from core.jobs.model import SUCCEEDED
from core.jobs.watch import Watcher
from web.doors.openai import shape as openai_shape

Document = dict[str, Any]
Told = tuple[str, Any]

LOOK_S = 1.0
"""How often we look whether the client is still there."""
WITHOUT_DELTAS = (
    "thinking_blocks",
    "reasoning_details",
    "reasoning_from",
    "refusal",
    "annotations",
    "images",
    "audio",
    "citations",
    "search_results",
)
"""Parts of a message that are told in one piece, before the stream's end."""


@dataclass(frozen=True)
class Listener:
    """The client: `gone()` tells whether it has left, `leave()` is called when it has.

    `over()` tells whether its key has ended: then it hears no more, which is as if it had left.
    """

    gone: Callable[[], bool]
    leave: Callable[[], None]
    over: Callable[[], bool]

    def hears_no_more(self) -> bool:
        return self.gone() or self.over()


def events(watcher: Watcher, job: Job, listener: Listener, known: Job | None = None) -> Iterator[Told]:
    """Deltas, `restart` and `gap`, then `done` with the job's document, unless the listener leaves first.

    A listener whose key has ended gets `over` as the last. `known`: the job, if it was made just now.
    """
    try:
        told = watcher.follow(
            job["_id"], heartbeat_s=LOOK_S, ignores=(signals.BEGUN,), known=known, over=listener.over
        )
        for event in told:
            if event is None or event.kind == "status":
                if listener.gone():
                    listener.leave()
                    return
            elif event.kind == "done":
                yield "done", event.job
                return
            else:
                yield event.kind, event.data
        if listener.over():
            listener.leave()
            yield "over", None
    except GeneratorExit:  # the client left while it was being told something
        listener.leave()
        raise


class Chunks:
    """Chunks of one answer. If Redis lost deltas, the finished job's text makes up for them."""

    def __init__(self, job: Job, model: str, *, include_usage: bool) -> None:
        self.job = job
        self.model = model
        self.include_usage = include_usage
        self.text = ""
        self.called = False
        self.gap = False

    def of(self, first: Told, rest: Iterator[Told]) -> Iterator[bytes]:
        """The chunks of a stream of `events`, whose first one was read already."""
        yield self._chunk({"role": "assistant", "content": ""})
        try:
            for kind, data in _chain(first, rest):
                if kind == "delta":
                    yield self._delta(data)
                elif kind == "done":
                    yield from self._end(data)
                    return
                elif kind == "gap":
                    self.gap = True
                elif kind == "over":
                    yield _error("this API key is not valid any more", "unauthorized")
                    return
                elif kind == "restart" and (self.text or self.called):
                    yield _error("another worker took over", "worker_lost")
                    return
        finally:
            rest.close()  # type: ignore[attr-defined]

    def _delta(self, data: Document) -> bytes:
        if data["type"] == "content":
            self.text += data["content"]
        self.called = self.called or data["type"] == "tool_call"
        return self._chunk(openai_shape.delta(data))

    def _end(self, job: Job) -> Iterator[bytes]:
        if job["status"] != SUCCEEDED:
            yield _event(openai_shape.failure(job)[0])
            return
        said = job["result"]["message"] or {}
        text = said.get("content") or ""
        if self.gap and (self.called or not text.startswith(self.text)):
            yield _error("a part of the stream was lost", "stream_gap")
            return
        if text.startswith(self.text) and (rest := text[len(self.text) :]):
            yield self._chunk({"content": rest})
        if said.get("tool_calls") and not self.called:
            calls = [{"index": n, **call} for n, call in enumerate(said["tool_calls"])]
            yield self._chunk({"tool_calls": calls})
        if whole := {name: said[name] for name in WITHOUT_DELTAS if said.get(name)}:
            yield self._chunk(whole)
        yield self._chunk({}, job["result"]["finish_reason"], said)
        if self.include_usage:
            yield _event(openai_shape.usage_chunk(job, self.model))
        yield b"data: [DONE]\n\n"

    def _chunk(
        self, delta: Document, finish_reason: str | None = None, said: Document | None = None
    ) -> bytes:
        chunk = openai_shape.chunk(self.job, self.model, delta, finish_reason, said)
        return _event({**chunk, "usage": None} if self.include_usage else chunk)


def _chain(first: Told, rest: Iterator[Told]) -> Iterator[Told]:
    yield first
    yield from rest


def _event(body: Document) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def _error(detail: str, code: str) -> bytes:
    return _event(openai_shape.error({"detail": detail, "code": code}, 500))
