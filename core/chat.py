"""A chat as a job: what is read when it is accepted, and what a worker does with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from core.config import Settings
from core.jobs.model import Draft, Idempotency
from core.jobs.run import Run
from core.llm import plan as routes
from core.llm import router
from core.llm.types import ChatRequest

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


def plan(
    agent: Document, *, settings: Settings, find_credential: Callable[[str], Document | None]
) -> Document:
    """All that a worker will need of the agent's configuration, read once; keys stay sealed."""
    return {
        "targets": routes.make(agent, settings=settings, find_credential=find_credential),
        "agent": {
            "system_prompt": agent.get("system_prompt"),
            "temperature": agent["llm_config"].get("temperature"),
            "max_tokens": agent["llm_config"].get("max_tokens"),
        },
        "on_worker_loss": agent.get("on_worker_loss", "retry"),
        "content_retention": agent.get("content_retention"),
    }
