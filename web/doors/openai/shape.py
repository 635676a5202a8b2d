"""Our answers in OpenAI's wire format: completions, chunks, errors. Pure.

Source: https://platform.openai.com/docs/api-reference/chat, read 2026-11.
"""

from __future__ import annotations

from typing import Any, Literal

from core.documents import Agent
from core.jobs.document import Job
from core.llm.failures import FailureCode
from core.llm.wire.openai.beside import CITED

Document = dict[str, Any]

OwnCode = Literal["deadline", "cancelled", "budget_exceeded", "price_unknown", "storage_away"]
STATUSES: dict[FailureCode | OwnCode, int] = {
    "provider_rate_limited": 429,
    "provider_quota": 424,  # as the three that follow: nothing that the caller did, or can mend
    "provider_key_refused": 424,
    "endpoint_forbidden": 424,
    "key_required": 424,
    "provider_error": 502,
    "provider_refused": 400,
    "context_overflow": 400,
    "content_refused": 400,
    "provider_busy": 502,
    "provider_unreachable": 502,
    "stream_broken": 502,
    "provider_timeout": 504,
    "deadline": 504,
    "cancelled": 400,
    "budget_exceeded": 402,  # as the two that follow: what the door says of a request, the worker of its job
    "price_unknown": 400,
    "storage_away": 503,
}
"""Of a job that did not succeed, by its error's code. Others are errors of ours: 500."""
NOT_AGAIN = frozenset(
    {
        "worker_lost",
        "worker_stuck",
        "quarantined",
        "deadline",
        "not_storable",
        "cannot_open_key",
        "provider_quota",
        "provider_key_refused",
    }
)
"""Failures after which the SDKs must not repeat the request, though its status would let them."""
CODES = {
    "context_overflow": "context_length_exceeded",
    "agent_not_found": "model_not_found",
    "not_found": "unknown_url",
    "method_not_allowed": "method_not_supported",
}
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "invalid_request_error",
    405: "invalid_request_error",
    409: "conflict_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    422: "invalid_request_error",
    424: "provider_error",
    429: "rate_limit_error",
}


def error(problem: Document, status: int) -> Document:
    """A problem as OpenAI says it."""
    places = problem.get("errors") or [{}]
    pointer = places[0].get("pointer", "").removeprefix("/").replace("/", ".")
    code = problem.get("code", "")
    detail, there = problem.get("detail", ""), places[0].get("detail", "")
    if there not in detail:
        detail = f"{detail}: {pointer}: {there}"
    return {
        "error": {
            "message": detail,
            "type": TYPES.get(status, "server_error"),
            "param": pointer or None,
            "code": CODES.get(code, code),
        }
    }


def failure(job: Job) -> tuple[Document, int]:
    """(error body, HTTP status) of a job that did not succeed."""
    problem = job["error"] or {"detail": "the job was cancelled", "code": "cancelled"}
    status = STATUSES.get(problem["code"], 500)
    return error(problem, status), status


def completion(job: Job, model: str) -> Document:
    """A finished job as a chat completion."""
    result = job["result"]
    choice = {
        "index": 0,
        "message": message(result["message"]),
        "logprobs": result["message"].get("logprobs"),
        "finish_reason": result["finish_reason"],
    }
    return {
        **_head(job, model, "chat.completion"),
        "choices": [choice],
        "usage": usage(result),
        **_tier(result),
        **_cited(result["message"]),
    }


def message(said: Document) -> Document:
    """An assistant's message. If there are no tool calls, the field is left out, as at OpenAI."""
    kept = {k: v for k, v in said.items() if v is not None or k in ("role", "content")}
    kept.pop("logprobs", None)
    if "reasoning" in kept:
        kept["reasoning_content"] = kept.pop("reasoning")
    return {**kept, "refusal": kept.get("refusal")}


def usage(result: Document) -> Document:
    """A result's tokens, and their cost in USD; None: it is not known."""
    tokens = result["usage"]
    return {
        "prompt_tokens": tokens["tokens_input"],
        "completion_tokens": tokens["tokens_output"],
        "total_tokens": tokens["tokens_total"],
        "prompt_tokens_details": {
            "cached_tokens": tokens["tokens_cached"],
            "cache_write_tokens": tokens.get("tokens_cache_write", 0),
        },
        "completion_tokens_details": {"reasoning_tokens": tokens["tokens_reasoning"]},
        "cost": result.get("cost"),
    }


def chunk(
    job: Job,
    model: str,
    delta: Document,
    finish_reason: str | None = None,
    said: Document | None = None,
) -> Document:
    """One event of a stream. `said`: the whole message, with the last one that has a choice."""
    whole = said or {}
    choice = {
        "index": 0,
        "delta": delta,
        "logprobs": whole.get("logprobs"),
        "finish_reason": finish_reason,
    }
    return {**_head(job, model, "chat.completion.chunk"), "choices": [choice], **_cited(whole)}


def usage_chunk(job: Job, model: str) -> Document:
    """The last chunk of a stream that was asked for usage: it has no choices."""
    return {
        **_head(job, model, "chat.completion.chunk"),
        "choices": [],
        "usage": usage(job["result"]),
        **_tier(job["result"]),
    }


def _tier(result: Document) -> Document:
    return {"service_tier": result["service_tier"]} if "service_tier" in result else {}


def _cited(said: Document) -> Document:
    """Once more beside the choices, where clients of Perplexity and xAI look for it."""
    return {name: said[name] for name in CITED if name in said}


def delta(event: Document) -> Document:
    """A delta of ours as a chunk's `delta`."""
    kinds = {"content": "content", "reasoning": "reasoning_content"}
    if event["type"] in kinds:
        return {kinds[event["type"]]: event["content"]}
    return {"tool_calls": [_whole(event["tool_call"])]}


def _whole(call: Document) -> Document:
    """The piece of a call with `arguments` in every chunk, as at OpenAI: clients join them unseen."""
    function = call.get("function")
    return call if function is None else {**call, "function": {"arguments": "", **function}}


def model(agent: Agent) -> Document:
    """An agent as a model. Its id is a name that a person can choose by; `agent_id` does as well."""
    return {
        "id": f"agent:{agent['name']}",
        "object": "model",
        "created": int(agent["created_at"].timestamp()),
        "owned_by": "vutler",
        "agent_id": agent["_id"],
    }


def _head(job: Job, model: str, kind: str) -> Document:
    return {
        "id": f"chatcmpl-{job['_id']}",
        "object": kind,
        "created": int(job["created_at"].timestamp()),
        "model": model,
    }
