"""Alerts: each move of an agent's process, and each part of its budget that is used up, to the `alert_url`.

A move leaves its mark in the write that makes it (`alerts_due`), so none is lost; a delivery's id is made of
the move, so none is made twice. Run by the scheduler's leader.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog
from pymongo import InsertOne
from pymongo.database import Database

from core.clock import rfc3339, utcnow
from core.deliveries import born
from core.metering import budgets
from core.metering.sums import exact
from core.runtime import instance_keys
from core.store import aside
from core.store.repeat import write_missing

Document = dict[str, Any]

LOOP = "runtimes"
THRESHOLDS = (50, 80, 100)
"""Per cent of a budget at which a workspace is told, once a period each."""
AT_ONCE = 200

log = structlog.get_logger(__name__)


def tick(db: Database[Document]) -> Document:
    """Make the deliveries that are due; what was done, by name."""
    return {"moves": _tell_moves(db), "budgets": _tell_budgets(db, utcnow())}


def _tell_moves(db: Database[Document]) -> int:
    moved = db.runtimes.find({"alerts_due": True, **aside.waiting(db, LOOP)}).limit(AT_ONCE)
    return sum(aside.each(db, LOOP, moved, lambda record: _tell_move(db, record)))


def _tell_move(db: Database[Document], record: Document) -> int:
    events = [event for event in record["events"] if event["n"] > record["told"]]
    told = _deliver(db, record["workspace_id"], [_of_move(record, event) for event in events])
    last = max((event["n"] for event in events), default=record["told"])
    unchanged = {"_id": record["_id"], "rev": record["rev"]}
    db.runtimes.update_one(unchanged, {"$set": {"alerts_due": False, "told": last}})
    return told


def _of_move(record: Document, event: Document) -> Document:
    return {
        "name": f"runtime-{record['_id']}-{event['n']}",
        "event": f"agent.{event['status']}",
        "payload": {
            "agent_id": record["_id"],
            "status": event["status"],
            "before": event["before"],
            "at": rfc3339(event["at"]),
            "host": record["host"],
            "reason": event["why"],
        },
    }


def _tell_budgets(db: Database[Document], now: datetime) -> int:
    opened = list(db.budgets.find({"open": True}))
    return sum(aside.each(db, LOOP, opened, lambda state: _tell_of(db, state, now)))


def _tell_of(db: Database[Document], state: Mapping[str, Any], now: datetime) -> int:
    agent_id = instance_keys.agent_of(state["key_id"])
    agent = agent_id and db.agents.find_one({"_id": agent_id})
    if not agent or agent.get("runtime_budget_usd") is None:
        return 0
    return _tell_budget(db, agent, state, now)


def _tell_budget(
    db: Database[Document], agent: Mapping[str, Any], state: Mapping[str, Any], now: datetime
) -> int:
    budget = instance_keys.budget(agent, now)
    if budget is None or budget.name != state["_id"]:
        return 0  # of another period
    spent, used_up = exact(budgets.counter(state, budget)["spent"]), budgets.used_up(db, budget)
    told = 0
    for percent in THRESHOLDS:
        reached = spent * 100 >= budget.usd * percent or used_up
        told_of = f"{budget.period} {percent}"
        first = {"_id": state["_id"], "told": {"$ne": told_of}}
        if not reached or db.budgets.find_one(first, {"_id": 1}) is None:
            continue
        told += _deliver(
            db,
            agent["workspace_id"],
            [
                {
                    "name": f"runtime-budget-{agent['_id']}-{budget.period}-{percent}",
                    "event": "agent.budget",
                    "payload": {
                        "agent_id": agent["_id"],
                        "threshold_percent": percent,
                        "period": budget.period,
                        "budget_usd": float(budget.usd),
                        "spent_usd": float(spent),
                        "used_up": used_up,
                        "resets_at": rfc3339(budget.resets_at),
                    },
                }
            ],
        )
        db.budgets.update_one(first, {"$push": {"told": told_of}})
        log.warning("runtime.budget", agent_id=agent["_id"], percent=percent, period=budget.period)
    return told


def _deliver(db: Database[Document], workspace_id: str, alerts: list[Document]) -> int:
    workspace = db.workspaces.find_one({"_id": workspace_id}, {"alert_url": 1}) or {}
    if not workspace.get("alert_url"):
        return 0
    now = utcnow()
    wanted = [
        {
            **born(
                alert["name"],
                workspace_id=workspace_id,
                job_id=None,
                event=alert["event"],
                url=workspace["alert_url"],
                now=now,
            ),
            "payload": alert["payload"],
        }
        for alert in alerts
    ]
    return write_missing(db.deliveries, [InsertOne(delivery) for delivery in wanted])
