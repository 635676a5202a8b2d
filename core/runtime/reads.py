"""What is shown of agents' processes: the health of one, with its history, and all that run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pymongo.database import Database

from core.agents import agents
from core.clock import rfc3339, utcnow
from core.metering import budgets
from core.runtime import instance_keys, records, spec
from core.runtime.documents import Event, Record, Sample
from core.runtime.records import seconds_since

Document = dict[str, Any]

HISTORY = 40
EVENTS = 20


def health(db: Database[Document], agent: Mapping[str, Any], *, history: int = HISTORY) -> Document:
    """An agent's process as it was last seen, its last looks and moves, the oldest first, and its budget."""
    record = records.find(db, agent["_id"]) or records.born(agent["workspace_id"], agent["_id"])
    looks, moves = record["health"][-history:] if history else [], record["events"][-EVENTS:]
    return {
        **shown(record),
        "restart_needed": restart_needed(record, agent),
        **budget(db, agent),
        "history": [_look(look) for look in looks],
        "events": [_move(move) for move in moves],
    }


def running(db: Database[Document], workspace_id: str, only: Iterable[str] | None = None) -> list[Document]:
    """The running agents of a workspace, by name; `only` those of these ids."""
    found = {record["_id"]: record for record in records.running(db, workspace_id, only)}
    return [
        {
            "name": agent["name"],
            **shown(found[agent["_id"]]),
            "restart_needed": restart_needed(found[agent["_id"]], agent),
        }
        for agent in agents.of_ids(db, workspace_id, sorted(found))
    ]


def shown(record: Record) -> Document:
    """A record as the API shows it."""
    named = (
        "status",
        "desired",
        "ready",
        "pid",
        "host",
        "port",
        "restarts",
        "last_error",
        "memory_mb",
        "children",
    )
    times = ("since", "ready_at", "checked_at", "lost_at", "retry_at")
    alive = record["pid"] is not None
    return {
        "agent_id": record["_id"],
        **{name: record[name] for name in named},  # type: ignore[literal-required]
        "uptime_s": round(seconds_since(record["started_at"])) if alive else None,
        **{name: rfc3339(record[name]) for name in times},  # type: ignore[literal-required]
        "lost": record["lost_at"] is not None,
        "state_stayed_on": record["moved_from"],
    }


def restart_needed(record: Record, agent: Mapping[str, Any]) -> bool:
    """Was it started with something else than its agent says now?"""
    started_with = record["spec"]
    if started_with is None or record["pid"] is None:
        return False
    direct = bool(started_with["keys"])
    return started_with["made_of"] != spec.made_of(agent, direct=direct)


def budget(db: Database[Document], agent: Mapping[str, Any]) -> Document:
    """How the budget of an agent's process stands; `budget_used_up`: its next call is refused."""
    found = instance_keys.budget(agent, utcnow())
    if found is None:
        return {"budget": None, "budget_used_up": False}
    return {"budget": budgets.used(db, found), "budget_used_up": budgets.used_up(db, found)}


def _look(look: Sample) -> Document:
    return {**look, "at": rfc3339(look["at"])}


def _move(move: Event) -> Document:
    return {**move, "at": rfc3339(move["at"])}
