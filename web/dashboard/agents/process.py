"""An agent's own process: started, stopped, started again; its memory and restarts over time; its log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from flask import Blueprint, Response

from core.agents import agents
from core.documents import Agent
from core.errors import NotFound, RateLimited, Unavailable
from core.jobs.document import Job
from core.runtime import reads, records
from core.runtime.documents import Sample
from core.runtime.states import RUNNING
from web.access import access
from web.context import db
from web.dashboard.agents import one
from web.dashboard.frame import answers, live
from web.doors import orders

Document = dict[str, Any]

views = Blueprint("process", __name__)

TAIL = 300
MOVES = 12


def _start(agent: Agent) -> Job:
    return orders.start(agents.checked(agent), {})


def _stop(agent: Agent) -> Job:
    return orders.stop(agent, {})


def _restart(agent: Agent) -> Job:
    return orders.restart(agents.checked(agent), {})


ORDERS: dict[str, tuple[Callable[[Agent], Job], str]] = {
    "start": (_start, "It is being started."),
    "stop": (_stop, "It is being stopped."),
    "restart": (_restart, "It is being restarted."),
}


@views.get("/agents/<agent_id>/process")
def show(agent_id: str) -> Response:
    """The process as it was last seen."""
    agent = one.get(agent_id)
    record = records.find(db(), agent_id) or records.born(agent["workspace_id"], agent_id)
    return one.page(
        "agents/process.html",
        agent,
        record=record,
        uptime_s=records.seconds_since(record["started_at"]) if record["pid"] else None,
        runs=record["status"] in RUNNING or record["desired"] == "running",
        restart_needed=reads.restart_needed(record, agent),
        budget=reads.budget(db(), agent),
        moves=record["events"][-MOVES:][::-1],
        memory=_chart(record["health"], "Memory", "run", "MB", lambda look: round(look["memory_mb"], 1)),
        restarts=_chart(record["health"], "Restarts", "warn", "", lambda look: look["restarts"]),
    )


@views.post("/agents/<agent_id>/order/<order>")
def do(agent_id: str, order: str) -> Response:
    """Carry out an order of `ORDERS`; it is a job."""
    if order not in ORDERS:
        raise NotFound(f"no order {order!r}")
    act, said = ORDERS[order]
    act(one.get(agent_id))
    return answers.go(f"/agents/{agent_id}/process", said)


@views.get("/agents/<agent_id>/log")
@access(members=True)
def log(agent_id: str) -> Response:
    """The page that follows the log."""
    return one.page("agents/log.html", one.get(agent_id), record=records.find(db(), agent_id, lean=True))


@views.get("/agents/<agent_id>/log/stream")
@access(members=True)
def stream(agent_id: str) -> Response:
    """Server-Sent Events: `line` for each line; `silent` when its host does not answer, or not now."""
    _, pieces = orders.log(one.get(agent_id), tail=TAIL, follow=True)
    return live.of_events(partial(_told, pieces))


def _told(pieces: Iterator[list[str] | None], over: live.Over) -> Iterator[bytes]:
    try:
        yield from orders.told([], pieces, over)
    except (RateLimited, Unavailable):
        yield b"event: silent\ndata:\n\n"


def _chart(
    looks: list[Sample], label: str, tone: str, unit: str, value: Callable[[Sample], float]
) -> Document:
    return {
        "x": [int(look["at"].timestamp()) for look in looks],
        "series": [{"label": label, "tone": tone, "values": [value(look) for look in looks]}],
        "kind": "lines",
        "unit": unit,
    }
