"""The OpenAI-compatible door: `/v1/chat/completions` and `/v1/models`. Behind it the same durable job."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Literal

import structlog
from flask import Response, request
from pydantic import BaseModel, ConfigDict, Field

from core import agents
from core.errors import Conflict, Invalid, NotFound, Unavailable
from core.ids import utcnow
from core.jobs import control
from core.jobs.model import DONE, FAILED, SUCCEEDED
from core.jobs.watch import Watcher
from core.services import Services
from core.store import pages
from web import openai_shape, problems, work
from web.access import access
from web.answers import answer
from web.context import caller, db, services, watcher, workspace_id
from web.resource import resource

api = resource("openai", "OpenAI's wire format for any agent", prefix="/v1")

Document = dict[str, Any]

JOINED_WITHIN = timedelta(minutes=10)
HEARTBEAT_S = 1.0
LOST = "fail_once_streamed"

log = structlog.get_logger(__name__)


class Said(BaseModel):
    """A message; whatever else it brings goes to the provider as it is."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)
    role: Literal["system", "developer", "user", "assistant", "tool"]


class StreamOptions(BaseModel):
    include_usage: bool = False


class Completion(BaseModel):
    """OpenAI's request. Unknown fields are ignored here, and only here."""

    model_config = ConfigDict(
        extra="ignore",
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [{"model": "agent:demo", "messages": [{"role": "user", "content": "Hello!"}]}]
        },
    )

    model: str = Field(min_length=1, max_length=300, description="an agent's id, or `agent:<name>`")
    messages: list[Said] = Field(min_length=1)
    tools: list[dict[str, Any]] | None = Field(default=None, max_length=200)
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, ge=1, le=10_000_000)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=10_000_000)
    stop: str | list[str] | None = None
    seed: int | None = None
    n: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    def asked(self) -> Document:
        """As a chat of ours is asked."""
        names = ("tools", "tool_choice", "response_format", "temperature", "stop", "seed")
        return {
            **{name: getattr(self, name) for name in names if getattr(self, name) is not None},
            "messages": [message.model_dump() for message in self.messages],
            "max_tokens": self.max_completion_tokens or self.max_tokens,
            "stream": bool(self.stream),
        }


@api.post("/chat/completions", responses={"200": {"description": "A completion, or a stream of chunks"}})
@access(agent=True)
def complete(body: Completion) -> Response:
    """Ask an agent as one asks a model at OpenAI; a client that goes away cancels (`X-Detach: true`: not)."""
    if body.n not in (None, 1):
        raise Invalid("only one choice can be asked for", errors=[{"pointer": "/n", "detail": "only 1"}])
    job = _joined() or _accepted(body)
    gone = _gone(request.environ)
    if request.headers.get("X-Detach", "").lower() == "true":
        gone = _never
    if body.stream:
        usage = body.stream_options is not None and body.stream_options.include_usage
        return _streamed(job, body.model, gone, include_usage=usage)
    return _whole(job, body.model, gone)


@api.get("/models", responses={"200": {"description": "The agents, as models"}})
@access(agent=True)
def models() -> Response:
    """The workspace's agents that can be asked."""
    items, _ = pages.page(db().agents, {"workspace_id": workspace_id()}, limit=1000)
    data = [
        {
            "id": agent["_id"],
            "object": "model",
            "created": int(agent["created_at"].timestamp()),
            "owned_by": "vutler",
            "name": f"agent:{agent['name']}",
        }
        for agent in items
        if agent["llm_config"] is not None and caller().may_touch(agent["_id"])
    ]
    return answer({"object": "list", "data": data})


@api.errorhandler(Exception)
def _as_openai(error: Exception) -> Response:
    """Every error in OpenAI's shape, with the status that the API gives it."""
    response = problems.respond(error)
    said = response.get_json()
    status = 400 if response.status_code == 422 else response.status_code
    kept = {k: v for k, v in response.headers.items() if k in ("Retry-After", "WWW-Authenticate")}
    return answer(openai_shape.error(said, status), status, kept)


def _accepted(body: Completion) -> Document:
    agent = _agent(body.model)
    draft = work.draft(
        "chat",
        agent,
        body.asked(),
        idempotency=work.idempotency("door"),
        fingerprint=_fingerprint(),
        on_worker_loss=LOST if body.stream and agent["on_worker_loss"] == "retry" else None,
    )
    return work.accepted(draft, agent)[0]


def _agent(model: str) -> Document:
    name = model.removeprefix("agent:")
    wanted = {"name": name} if model.startswith("agent:") else {"_id": model}
    agent = db().agents.find_one({"workspace_id": workspace_id(), **wanted})
    if agent is None or not caller().may_touch(agent["_id"]):
        raise NotFound(f"there is no agent {model!r}", code="model_not_found")
    return agents.ready(db(), workspace_id(), agent["_id"])


def _joined() -> Document | None:
    """The job of an earlier try: OpenAI's SDKs repeat by themselves, without an idempotency key."""
    count = request.headers.get("x-stainless-retry-count", "0")
    if not count.isdecimal() or int(count) == 0:
        return None
    recent = {
        "workspace_id": workspace_id(),
        "created_at": {"$gte": utcnow() - JOINED_WITHIN},
        "fingerprint": _fingerprint(),
        "status": {"$nin": [FAILED, "cancelled"]},
    }
    return db().jobs.find_one(recent, sort=[("created_at", -1)])


def _fingerprint() -> str:
    body = json.dumps(request.get_json(), sort_keys=True)
    return hashlib.sha256(f"{caller().key_id} {body}".encode()).hexdigest()


def _whole(job: Document, model: str, gone: Callable[[], bool]) -> Response:
    if job["status"] not in DONE:
        job = watcher().wait(job["_id"], services().settings.job_timeout_s, gone)
    if job["status"] not in DONE:
        _cancel(services(), job)
        raise Unavailable("the answer was not waited for")
    if job["status"] != SUCCEEDED:
        return _failed(job)
    return answer(openai_shape.completion(job, model), headers=_headers(job))


def _streamed(job: Document, model: str, gone: Callable[[], bool], *, include_usage: bool) -> Response:
    """The stream; an error before its first word is an HTTP error, as the SDKs expect."""
    events = _events(watcher(), services(), job, gone)
    first = next(events, None)
    if first is None:
        raise Unavailable("the answer was not waited for")
    kind, data = first
    if kind == "done" and data["status"] != SUCCEEDED:
        return _failed(data)
    stream = _Stream(services(), job, model, include_usage)
    headers = {**_headers(job), "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Response(stream.chunks(first, events), content_type="text/event-stream", headers=headers)


def _events(
    watcher: Watcher, services: Services, job: Document, gone: Callable[[], bool]
) -> Iterator[tuple[str, Document]]:
    """Deltas, and what ends the stream: `done` with the job's document, `restart`, `gap`. Ends early when
    the client went away, and cancels the job then."""
    ended = False
    try:
        for event in watcher.follow(job["_id"], heartbeat_s=HEARTBEAT_S):
            if event is None or event.kind == "status":
                if gone():
                    return
            elif event.kind == "done":
                ended = True
                yield "done", services.db.jobs.find_one({"_id": job["_id"]}) or job
            else:
                yield event.kind, event.data
    finally:
        if not ended and gone is not _never:
            _cancel(services, job)


class _Stream:
    """Chunks of one answer. What Redis lost of the deltas is made up for by the finished job's text."""

    def __init__(self, services: Services, job: Document, model: str, include_usage: bool) -> None:
        self.services = services
        self.job = job
        self.model = model
        self.include_usage = include_usage
        self.text = ""
        self.called = False

    def chunks(self, first: tuple[str, Document], events: Iterator[tuple[str, Document]]) -> Iterator[bytes]:
        yield self._chunk({"role": "assistant", "content": ""})
        try:
            for kind, data in _chain(first, events):
                if kind == "delta":
                    yield self._delta(data)
                elif kind == "done":
                    yield from self._end(data)
                    return
                elif kind == "restart" and (self.text or self.called):
                    yield self._error({"detail": "another worker took over", "code": "worker_lost"})
                    return
        finally:
            events.close()  # type: ignore[attr-defined]

    def _delta(self, data: Document) -> bytes:
        if data["type"] == "content":
            self.text += data["content"]
        self.called = self.called or data["type"] == "tool_call"
        return self._chunk(openai_shape.delta(data))

    def _end(self, job: Document) -> Iterator[bytes]:
        if job["status"] != SUCCEEDED:
            yield _event(openai_shape.failure(job)[0])
            return
        said = job["result"]["message"]
        text = said.get("content") or ""
        if not text.startswith(self.text):
            yield self._error({"detail": "a part of the stream was lost", "code": "stream_gap"})
            return
        if rest := text[len(self.text) :]:
            yield self._chunk({"content": rest})
        if said.get("tool_calls") and not self.called:
            calls = [{"index": n, **call} for n, call in enumerate(said["tool_calls"])]
            yield self._chunk({"tool_calls": calls})
        yield self._chunk({}, job["result"]["finish_reason"])
        if self.include_usage:
            yield _event(openai_shape.usage_chunk(job, self.model))
        yield b"data: [DONE]\n\n"

    def _chunk(self, delta: Document, finish_reason: str | None = None) -> bytes:
        return _event(openai_shape.chunk(self.job, self.model, delta, finish_reason))

    def _error(self, problem: Document) -> bytes:
        return _event(openai_shape.error(problem, 500))


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def _event(body: Document) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def _failed(job: Document) -> Response:
    body, status = openai_shape.failure(job)
    return answer(body, status, _headers(job))


def _headers(job: Document) -> dict[str, str]:
    return {"X-Job-Id": job["_id"]}


def _cancel(services: Services, job: Document) -> None:
    """As at OpenAI: whose call it is goes away, and the call ends."""
    found = services.db.jobs.find_one({"_id": job["_id"]})
    if found is None or found["status"] in DONE:
        return
    try:
        control.cancel(services.db, services.redis, found)
    except Conflict:
        log.debug("door.ended_meanwhile", job_id=job["_id"])


def _never() -> bool:
    return False


def _gone(environ: Document) -> Callable[[], bool]:
    """Has the client closed its connection? Looked up on the socket, where the server shows it."""
    client = environ.get("gunicorn.socket")
    if client is None:
        return lambda: False
    raw = getattr(client, "_sock", client)  # gevent's socket would wait for a byte

    def gone() -> bool:
        try:
            return raw.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    return gone
