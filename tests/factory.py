"""What tests make over and over: drafts of jobs, processes, recorded sends."""

from __future__ import annotations

from typing import Any

import redis

from core.jobs.accept import accept
from core.jobs.model import Draft, Idempotency
from core.llm.types import ChatRequest

TARGET = {
    "provider": "openai",
    "model": "gpt-4o-mini",
    "wire": "openai",
    "base_url": "https://api.openai.com/v1",
    "key_kind": "byokey",
    "tier": None,
    "holder": "agent:a1",
    "keyed": True,
}


def asking(messages: list[Any], system_prompt: str | None = None, stream: bool = False, **parameters: Any):
    """A chat as a worker asks it."""
    return ChatRequest(messages, system_prompt, stream, parameters)


class Sent:
    """A queue that writes down what was sent; with `away` it behaves like a Redis that is down."""

    def __init__(self) -> None:
        self.ids: list[tuple[str, str]] = []
        self.away = False

    def __call__(self, job: Any) -> None:
        if self.away:
            raise redis.ConnectionError("away")
        self.ids.append((job["queue"], job["_id"]))


def draft(**changes: Any) -> Draft:
    fields: dict[str, Any] = {
        "kind": "chat",
        "workspace_id": "w1",
        "agent_id": "a1",
        "request": {"messages": [{"role": "user", "content": "hello"}]},
        "plan": {"targets": [TARGET], "agent": {}, "on_worker_loss": "retry"},
        "created_by": "k1",
        "request_id": "r1",
    }
    return Draft(**{**fields, **changes})


def mark(key: str = "key-1", body: str = "hash-1", route: str = "chat/a1") -> Idempotency:
    return Idempotency(route=route, key=key, hash=body)


def queued(db: Any, sent: Sent | None = None, **changes: Any) -> dict[str, Any]:
    """An accepted job."""
    return accept(db, sent or Sent(), draft(**changes))[0]


CALL = {
    "n": 0,
    "provider": "openai",
    "model": "gpt-4o-mini",
    "key_kind": "byokey",
    "outcome": "ok",
    "http_status": 200,
    "latency_ms": 20,
    "usage": {"tokens_input": 12, "tokens_output": 5, "tokens_total": 17},
}
