"""What this server sends to URLs that were given to it: OpenAPI's `webhooks`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from web.shapes import told

Document = dict[str, Any]

HOOKS: dict[str, tuple[type[BaseModel], str]] = {
    "job.ended": (told.JobEnded, "To a job's `callback_url`, when it ends."),
    "allowance.threshold": (
        told.AllowanceThreshold,
        "To the workspace's `alert_url`, at 80, 100 and 120 % of an agent's allowance.",
    ),
    "agent.moved": (
        told.AgentMoved,
        "To the workspace's `alert_url`, when an agent's process has another state.",
    ),
    "agent.budget": (
        told.AgentBudget,
        "To the workspace's `alert_url`, as an agent's process spends its budget.",
    ),
}
SIGNED = {
    "webhook-id": "The same at each try, so that a repetition can be told.",
    "webhook-timestamp": "When this was sent, in seconds since 1970.",
    "webhook-signature": "`v1,` and the HMAC-SHA256 of id, timestamp and body (Standard Webhooks 1.0.0).",
}
TAKEN: Document = {
    "2XX": {"description": "Taken. Anything else is tried again, with back-off, for a day."},
    "410": {"description": "Do not try again."},
}


def webhooks() -> Document:
    """One POST for each."""
    return {name: {"post": _post(name, *row)} for name, row in HOOKS.items()}


def _post(name: str, shape: type[Any], when: str) -> Document:
    schema = {"$ref": f"#/components/schemas/{shape.__name__}"}
    return {
        "operationId": f"on_{name.replace('.', '_')}",
        "summary": when,
        "description": f"{when} {shape.__doc__}",
        "tags": ["webhooks"],
        "security": [],
        "parameters": [
            {
                "name": header,
                "in": "header",
                "required": True,
                "description": text,
                "schema": {"type": "string"},
            }
            for header, text in SIGNED.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": TAKEN,
    }
