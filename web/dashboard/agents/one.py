"""What all pages of an agent begin with: who it is, and how it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import Response

from core.agents import agents
from core.documents import Agent
from core.history import reading
from core.history.reading import History
from core.runtime import records
from core.runtime.documents import Record
from web.context import db, workspace_id
from web.dashboard.agents.lights import Light, light
from web.dashboard.frame import answers


def get(agent_id: str) -> Agent:
    """Raises `NotFound`."""
    return agents.get(db(), workspace_id(), agent_id)


def page(template: str, agent: Agent, **known: Any) -> Response:
    """A page of this agent."""
    _, light_of = lights([agent])
    return answers.page(template, agent=agent, light=light_of[agent["_id"]], **known)


def lights(asked: Iterable[Agent]) -> tuple[dict[str, Record], dict[str, Light]]:
    """These agents' processes and lights, by agent."""
    shown = list(asked)
    processes = records.of_agents(db(), [agent["_id"] for agent in shown])
    hour = reading.summary(History(db(), workspace_id(), only=("agents",)).minutes())
    failures = {one["name"]: one["n"] for one in hour["agents"]}
    return processes, {agent["_id"]: light(agent, processes.get(agent["_id"]), failures) for agent in shown}
