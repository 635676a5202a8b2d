"""Attention: what needs somebody. Each check reads a few documents, however many jobs there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import redis
from pymongo.database import Database

from core.accounts import keys
from core.agents import agents
from core.clock import utcnow
from core.config import Settings
from core.documents import agents_of, keys_of
from core.history import reading
from core.history.reading import History
from core.llm import breaker, managed, providers
from core.metering import budget, budgets
from core.runtime import states
from core.scheduling.ticks import in_words

Document = dict[str, Any]

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
FAILED_OFTEN = 5
"""So many failed jobs of an agent within an hour."""
NEARLY = 0.8
DELIVERED_WITHIN = timedelta(minutes=5)
LATE = timedelta(seconds=60)
FIRST = {name: {"$first": f"${name}"} for name in ("origin", "job_id")}
COUNTED: Document = {"$group": {"_id": None, "n": {"$sum": 1}, **FIRST}}
"""How many there are, and where one of them goes to."""
MOST = 20
MOST_KEPT = 200
"""Credentials that are looked at."""


@dataclass(frozen=True)
class Asked:
    """What a check may look at. `now`: the time that it is."""

    db: Database[Document]
    redis: redis.Redis
    settings: Settings
    workspace_id: str
    now: datetime
    history: History


@dataclass(frozen=True)
class Finding:
    """Something that needs somebody. `about`: the id of what it is about; `bad`: it is broken already."""

    kind: str
    title: str
    detail: str = ""
    about: str = ""
    bad: bool = True


def of_workspace(history: History, client: redis.Redis, settings: Settings) -> list[Finding]:
    """What needs somebody in the history's workspace, the worst first. Of its points, `agents` is read."""
    asked = Asked(history.db, client, settings, history.workspace_id, history.now, history)
    found = [finding for check in CHECKS for finding in check(asked)]
    return sorted(found, key=lambda finding: not finding.bad)


def of_installation(db: Database[Document]) -> list[Finding]:
    """What needs an operator: workers that died, ticks that are late."""
    return [*_dead_workers(db, utcnow()), *_late_ticks(db, utcnow())]


def addresses(db: Database[Document], settings: Settings, workspace_id: str) -> set[tuple[str, str]]:
    """Whom the workspace's agents and credentials ask: provider and address."""
    of_workspace = {"workspace_id": workspace_id}
    asked: list[Any] = list(
        db.credentials.find(of_workspace, {"_id": 0, "provider": 1, "custom_endpoint": 1}).limit(MOST_KEPT)
    )
    for agent in agents_of(db).find(of_workspace, {"llm_config": 1}):
        config: Any = agent["llm_config"] or {}
        if config.get("managed"):
            asked += managed.targets(config["tier"], settings)
        elif not config.get("credential"):
            asked.append(config)
        asked += config.get("fallback") or ()
    known = (one for one in asked if one.get("provider") in providers.PROVIDERS)
    return {_address(one, settings) for one in known}


def _address(target: Mapping[str, Any], settings: Settings) -> tuple[str, str]:
    """Of what is planned the address is known; of what is configured it is the endpoint, or the vendor's."""
    provider, endpoint = target["provider"], target.get("custom_endpoint")
    return provider, target.get("base_url") or providers.address(provider, endpoint, settings)


def _dead_workers(db: Database[Document], now: datetime) -> Iterator[Finding]:
    for process in db.processes.find({"dead": True, "declared_dead_at": {"$gte": now - HOUR}}).limit(MOST):
        where = f"{process['role']} on {process['host']}, pid {process['pid']}"
        yield Finding("worker", "A worker died", f"{where}; its jobs went back to their queues")


def _late_ticks(db: Database[Document], now: datetime) -> Iterator[Finding]:
    for tick in db.ticks.find():
        ran, every = tick.get("done_through") or tick.get("last_run"), tick.get("every_s")
        if tick.get("error"):
            yield Finding(
                "tick", f"The tick {tick['_id']} failed", str(in_words(tick["error"])), str(tick["_id"])
            )
        elif ran and every and now - ran > timedelta(seconds=2 * every) + LATE:
            yield Finding(
                "tick", f"The tick {tick['_id']} is late", "does the scheduler run?", str(tick["_id"])
            )


def _failing_agents(asked: Asked) -> Iterator[Finding]:
    recent = reading.summary(asked.history.minutes())
    often = {one["name"]: one["n"] for one in recent["agents"] if one["n"] >= FAILED_OFTEN}
    for agent in agents.of_ids(asked.db, asked.workspace_id, sorted(often)):
        said = f"{often[agent['_id']]} of its jobs failed within an hour"
        yield Finding("agent", f"{agent['name']} fails", said, agent["_id"])


def _failed_processes(asked: Asked) -> Iterator[Finding]:
    bad = {"workspace_id": asked.workspace_id, "status": {"$in": [states.FAILED, states.UNHEALTHY]}}
    found = {record["_id"]: record for record in asked.db.runtimes.find(bad, {"health": 0}).limit(MOST)}
    for agent in agents.of_ids(asked.db, asked.workspace_id, sorted(found)):
        record = found[agent["_id"]]
        said = record["last_error"] or "it does not answer"
        yield Finding("process", f"The process of {agent['name']} is {record['status']}", said, agent["_id"])


def _allowances(asked: Asked) -> Iterator[Finding]:
    of_month = {"workspace_id": asked.workspace_id, "month": f"{asked.now:%Y-%m}"}
    near = [
        mark
        for mark in asked.db.usage_allowances.find(of_month)
        if mark.get("allowance") and mark.get("used", 0) >= NEARLY * mark["allowance"]
    ]
    names = _names(asked, (mark["agent_id"] for mark in near))
    for mark in sorted(near, key=lambda mark: -mark["used"] / mark["allowance"])[:MOST]:
        share = mark["used"] / mark["allowance"]
        who, used = names.get(mark["agent_id"], "An agent"), f"{100 * share:.0f} %"
        title = f"{who} has used {used} of its {mark['tier']} tier"
        yield Finding("allowance", title, "", mark["agent_id"], bad=share >= 1)


def _budgets(asked: Asked) -> Iterator[Finding]:
    limited = {"workspace_id": asked.workspace_id, "budget_usd": {"$ne": None}}
    for key in keys_of(asked.db).find(limited).limit(MOST):
        of_key = budget.of_key(keys.caller_of(key), asked.now)
        if of_key is not None and keys.alive(key, asked.now) and budgets.used_up(asked.db, of_key):
            name = key["name"] or f"…{key['hint']}"
            yield Finding("budget", f"The budget of the key {name} is used up", "", key["_id"])


def _breakers(asked: Asked) -> Iterator[Finding]:
    for provider, address in breaker.opened(
        asked.redis, addresses(asked.db, asked.settings, asked.workspace_id)
    ):
        yield Finding("provider", f"{provider} fails", f"{address} is asked last until it answers", provider)


def _callbacks(asked: Asked) -> Iterator[Finding]:
    mine = {"workspace_id": asked.workspace_id}
    late = {**mine, "created_at": {"$lt": asked.now - DELIVERED_WITHIN}}
    for one, many, indexed, among in (
        ("callback does not arrive", "callbacks do not arrive", {"state": "due"}, late),
        ("callback was given up", "callbacks were given up", _given_up(asked.now), mine),
    ):
        for found in asked.db.deliveries.aggregate([{"$match": indexed}, {"$match": among}, COUNTED]):
            to, count = found["origin"].removesuffix(":443"), found["n"]
            said = f"to {to}" if count == 1 else f"one of them to {to}"
            title = f"{count} {one if count == 1 else many}"
            yield Finding("callback", title, said, found["job_id"] or "")


def _given_up(now: datetime) -> Document:
    return {"state": "failed", "next_at": {"$gte": now - DAY}}


def _names(asked: Asked, ids: Iterable[str]) -> dict[str, str]:
    found = agents.of_ids(asked.db, asked.workspace_id, sorted(set(ids)))
    return {agent["_id"]: agent["name"] for agent in found}


CHECKS: tuple[Callable[[Asked], Iterator[Finding]], ...] = (
    _failing_agents,
    _failed_processes,
    _allowances,
    _budgets,
    _breakers,
    _callbacks,
)
