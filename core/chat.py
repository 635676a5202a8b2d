"""A chat as a job: what is read when it is accepted, and what a worker does with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from core.config import Settings
from core.jobs.events import Emitter
from core.jobs.run import Handler, Run
from core.llm import plan as routes
from core.llm import router
from core.llm.failures import StreamBroken
from core.llm.transport import Transport
from core.llm.types import ChatAnswer, ChatRequest

Document = dict[str, Any]

ASKED = (
    "messages",
    "tools",
    "tool_choice",
    "response_format",
    "temperature",
    "max_tokens",
    "stop",
    "seed",
    "stream",
)
TEST_MESSAGES = [{"role": "user", "content": "Answer with the one word OK."}]


def plan(
    agent: Document, *, settings: Settings, find_credential: Callable[[str], Document | None]
) -> Document:
    """All that a worker will need of the agent's configuration, read once; keys stay sealed."""
    config = agent["llm_config"]
    return {
        "targets": routes.make(agent, settings=settings, find_credential=find_credential),
        "agent": {
            "system_prompt": agent.get("system_prompt"),
            "temperature": config.get("temperature"),
            "max_tokens": config.get("max_tokens"),
        },
        "on_worker_loss": agent.get("on_worker_loss", "retry"),
        "content_retention": agent.get("content_retention") or settings.content_retention,
    }


def handlers(transport: Transport) -> dict[str, Handler]:
    """What a worker does for each kind of job that calls a provider."""
    return {
        "chat": lambda run: chat(run, transport),
        "llm_test": lambda run: test(run, transport),
    }


def chat(run: Run, transport: Transport) -> Document:
    """Ask the agent's providers; the result as the API shows it."""
    request = _request(run.job)
    emitter = Emitter(run.services.redis, run.job["_id"], run.job["attempt"])
    emit = (lambda delta: _publish(run, emitter, delta)) if request.stream else None
    try:
        answer, latency_ms = _ask(run, request, transport, emit)
    except StreamBroken as broken:
        run.partial = {"message": broken.partial, "partial": True}
        raise
    return {
        "message": answer.message,
        "finish_reason": answer.finish_reason,
        "provider": answer.provider,
        "model": answer.model,
        "usage": answer.usage.public() if answer.usage else None,
        "cost": None,
        "cost_status": "unknown",
        "latency_ms": latency_ms,
        "calls": [_public_call(call) for call in run.calls],
    }


def _publish(run: Run, emitter: Emitter, delta: Document) -> None:
    """Publish a delta; a job whose words cannot be unsaid is marked at the first one."""
    emitter.emit("delta", delta)
    if emitter.n == 1 and run.job["plan"].get("on_worker_loss") == "fail_once_streamed":
        mine = {"_id": run.job["_id"], "token": run.job["token"]}
        run.services.db.jobs.update_one(mine, {"$set": {"streamed": True}})
        run.job["streamed"] = True


def test(run: Run, transport: Transport) -> Document:
    """One tiny call: does this configuration work?"""
    answer, latency_ms = _ask(run, ChatRequest(messages=TEST_MESSAGES, max_tokens=16), transport)
    return {"ok": True, "provider": answer.provider, "model": answer.model, "latency_ms": latency_ms}


def _ask(
    run: Run, request: ChatRequest, transport: Transport, emit: router.Emit | None = None
) -> tuple[ChatAnswer, int]:
    services = run.services
    targets = routes.open_targets(run.job, sealer=services.sealer, settings=services.settings)
    started = time.monotonic()
    answer = router.run(request, targets, transport=transport, calls=run.calls, emit=emit)
    return answer, int((time.monotonic() - started) * 1000)


def _request(job: Document) -> ChatRequest:
    agent = job["plan"]["agent"]
    asked = {name: job["request"].get(name) for name in ASKED}
    defaults = {name: agent.get(name) for name in ("temperature", "max_tokens")}
    chosen = {name: value for name, value in (defaults | _given(asked)).items() if value is not None}
    return ChatRequest(system_prompt=agent.get("system_prompt"), **chosen)


def _given(asked: Document) -> Document:
    return {name: value for name, value in asked.items() if value is not None}


def _public_call(call: Document) -> Document:
    return {name: call.get(name) for name in ("provider", "model", "outcome", "http_status", "latency_ms")}
