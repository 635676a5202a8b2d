"""The OpenAI-compatible door: `/v1/chat/completions` and `/v1/models`. Behind it the same durable job."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from flask import Response, request
from pydantic import BaseModel, ConfigDict, Field

from core.agents import agents
from core.agents.fields import Metadata
from core.errors import Conflict, Invalid, Unauthorized, Unavailable
from core.jobs.document import Job
from core.jobs.model import DONE, SUCCEEDED
from core.llm.records import OnWorkerLoss
from web import problems
from web.access import access
from web.answers import answer
from web.context import caller, db, services, watcher, workspace_id
from web.doors import leaving, standing, work
from web.doors.openai import second_tries
from web.doors.openai import shape as openai_shape
from web.doors.openai import stream as openai_stream
from web.doors.openai.stream import Listener
from web.messages import WAITS, MessageAtTheDoor, Priority
from web.parameters import under_their_names, with_parameters
from web.resource import MOST_ITEMS, Body, example, resource
from web.shapes.door import ChatCompletion, Model, Models
from web.specification.says import shows, tells

api = resource("openai", "OpenAI's wire format for any agent", prefix="/v1")

Document = dict[str, Any]

OFFERED = "POST /v1/chat/completions, GET /v1/models and GET /v1/models/{model}"
NOT_OFFERED = {"functions": "tools", "function_call": "tool_choice"}
KEPT_HEADERS = ("Retry-After", "WWW-Authenticate", "Allow")
LOST: OnWorkerLoss = "fail_once_streamed"
MOST_MODELS = 1000
MOST_IGNORED = 20
NOT_IN_A_HEADER = re.compile(r"[^\x21-\x2b\x2d-\x7e]")


COMPLETION: Any = shows(
    ChatCompletion, "A completion, or a stream of chunks", headers=("X-Job-Id", "X-Ignored")
)
COMPLETION["200"]["content"] |= {"text/event-stream": {"schema": {"type": "string"}}}


class ModelPath(BaseModel):
    model: str = Field(min_length=1, max_length=300)


class StreamOptions(BaseModel):
    """What a stream ends with."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)
    include_usage: bool = False


class Asked(Body):
    model_config = ConfigDict(extra="ignore", strict=True, hide_input_in_errors=True)
    model: str = Field(min_length=1, max_length=300, description="an agent's id, or `agent:<name>`")
    messages: list[MessageAtTheDoor] = Field(min_length=1, max_length=MOST_ITEMS)


class Completion(with_parameters(Asked, aliases=True)):  # type: ignore[misc] # each parameter is a field
    """OpenAI's request. Unknown fields are ignored here, and only here; `X-Ignored` names them."""

    model_config = example(model="agent:demo", messages=[{"role": "user", "content": "Hello!"}])

    n: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    metadata: Metadata | None = Field(None, description="kept on the job")
    priority: Priority | None = Field(None, description=WAITS)
    functions: Any = Field(None, description="not offered: use `tools`")
    function_call: Any = Field(None, description="not offered: use `tool_choice`")

    def check(self) -> None:
        """Raises `Invalid` for what OpenAI has and this door has not."""
        for name, instead in NOT_OFFERED.items():
            if getattr(self, name) is not None:
                detail = f"`{name}` is not offered here: use `{instead}`"
                raise Invalid(detail, errors=[{"pointer": f"/{name}", "detail": f"use `{instead}`"}])
        if self.n not in (None, 1):
            detail = "only one choice can be asked for"
            raise Invalid(detail, errors=[{"pointer": "/n", "detail": detail}])

    def asked(self) -> Document:
        """The request as the native API would have it."""
        return {
            **under_their_names(self),
            "messages": [message.model_dump(exclude_unset=True) for message in self.messages],
            "stream": bool(self.stream),
            **({"metadata": self.metadata} if self.metadata else {}),
            **({"priority": self.priority} if self.priority else {}),
        }


@api.post("/chat/completions", responses=COMPLETION)
@access(agent=True, runtime=True)
@tells(takes=("Idempotency-Key", "X-Detach", second_tries.COUNT), fails=(402, 409))
def create_completion(body: Completion) -> Response:
    """Ask an agent like a model. A client that goes away cancels, unless it sent `X-Detach: true`."""
    body.check()
    detached = _detached()
    job, attached = _job(body)
    leave = _stay if detached else partial(second_tries.leave, services(), job["_id"], attached)
    listener = Listener(leaving.gone(request.environ), leave, standing.ended(job["agent_id"]))
    return _streamed(job, body, listener) if body.stream else _whole(job, body, listener)


@api.get("/models", responses=shows(Models, "The agents, as models"))
@access(agent=True, runtime=True)
def list_models() -> Response:
    """The newest 1,000 agents of the workspace that can be asked."""
    items, _ = agents.page(db(), workspace_id(), limit=MOST_MODELS, cursor=None, only=caller().agents)
    data = [openai_shape.model(agent) for agent in items if agent["llm_config"] is not None]
    return answer({"object": "list", "data": data})


@api.get("/models/<path:model>", responses=shows(Model, "An agent, as a model"))
@access(agent=True, runtime=True)
def get_model(path: ModelPath) -> Response:
    """One agent, by its id or as `agent:<name>`."""
    return answer(openai_shape.model(work.agent_named(path.model)))


@api.errorhandler(Exception)
def _as_openai(error: Exception) -> Response:
    """Every error in OpenAI's shape, with the status that the API gives it."""
    response = problems.respond(error)
    said = response.get_json()
    if request.endpoint is None:
        said["detail"] = f"there is no {request.method} {request.path} here, but {OFFERED}"
    status = 400 if response.status_code == 422 else response.status_code
    kept = {name: value for name, value in response.headers.items() if name in KEPT_HEADERS}
    return answer(openai_shape.error(said, status), status, kept)


def _job(body: Completion) -> tuple[Job, str | None]:
    """The job of this request, which may be an earlier try's; and the mark of having joined that one."""
    for _ in range(3):
        job, made = second_tries.earlier(), False
        if job is None:
            job, made = _accepted(body)
        if made or job["status"] in DONE:
            return job, None
        if attached := second_tries.attach(job):
            return job, attached
    raise Conflict("the job of an earlier try is ending just now; try again")


def _accepted(body: Completion) -> tuple[Job, bool]:
    agent = work.agent_named(body.model)
    mark = work.idempotency(f"door/{agent['_id']}/{caller().key_id}")
    draft = work.draft(
        "runtime" if caller().role == "runtime" else "chat",
        agent,
        body.asked(),
        idempotency=mark or second_tries.mark(),
        known_as=[second_tries.name()] if mark is None else (),
        on_worker_loss=LOST if body.stream and agent["on_worker_loss"] == "retry" else None,
    )
    return work.accepted(draft, agent)


def _whole(job: Job, body: Completion, listener: Listener) -> Response:
    if job["status"] not in DONE:
        job = watcher().wait(
            job["_id"], services().settings.job_timeout_s, listener.hears_no_more, known=work.fresh(job)
        )
    if listener.over():
        listener.leave()
        raise Unauthorized("this API key is not valid any more")
    if job["status"] not in DONE:
        if listener.gone():
            listener.leave()
        raise Unavailable("the answer was not waited for")
    if job["status"] != SUCCEEDED:
        return _failed(job)
    return answer(openai_shape.completion(job, body.model), headers=_headers(job))


def _streamed(job: Job, body: Completion, listener: Listener) -> Response:
    """The stream. An error before its first word becomes an HTTP error, as the SDKs expect."""
    events = openai_stream.events(watcher(), job, listener, work.fresh(job))
    first = next(events, None)
    if first is None:
        raise Unavailable("the answer was not waited for")
    kind, data = first
    if kind == "over":
        raise Unauthorized("this API key is not valid any more")
    if kind == "done" and data["status"] != SUCCEEDED:
        return _failed(data)
    usage = body.stream_options is not None and body.stream_options.include_usage
    chunks = openai_stream.Chunks(job, body.model, include_usage=usage).of(first, events)
    leaving.hang_up_when_stuck(request.environ)
    headers = {**_headers(job), "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Response(chunks, content_type="text/event-stream", headers=headers)


def _failed(job: Job) -> Response:
    body, status = openai_shape.failure(job)
    headers = _headers(job)
    wait = (job["error"] or {}).get("retry_after")
    if wait is not None:
        headers["Retry-After"] = str(wait)
    if body["error"]["code"] in openai_shape.NOT_AGAIN:
        headers["x-should-retry"] = "false"
    return answer(body, status, headers)


def _headers(job: Job) -> dict[str, str]:
    return {"X-Job-Id": job["_id"], **_ignored()}


def _ignored() -> dict[str, str]:
    """The fields of the request that nobody here knows, by name."""
    body = request.get_json()
    names = [name for name in body if name not in Completion.model_fields]
    of_stream = body.get("stream_options") or {}
    names += [f"stream_options.{name}" for name in of_stream if name not in StreamOptions.model_fields]
    told = ", ".join(NOT_IN_A_HEADER.sub("?", name)[:60] for name in names[:MOST_IGNORED])
    return {"X-Ignored": told} if told else {}


def _detached() -> bool:
    """Does the job go on without its client? Raises `Invalid` for what is neither yes nor no."""
    said = request.headers.get("X-Detach", "false").strip().lower()
    if said not in ("true", "false"):
        raise Invalid("X-Detach is `true` or `false`")
    return said == "true"


def _stay() -> None:
    """The job goes on without its client."""
