"""What needs somebody: each check finds what it is for, of this workspace alone; where all is well, none."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from bson.decimal128 import Decimal128

from core import attention
from core.accounts import keys
from core.agents import agents
from core.clock import utcnow
from core.deliveries import born
from core.history.reading import History
from core.llm.breaker import FAILURES, Breaker
from core.llm.failures import ProviderBusy
from core.llm.types import Target
from core.runtime import records


@pytest.fixture
def agent(db):
    made = {**agents.demo("w1"), "_id": "a1", "name": "scout"}
    db.agents.insert_one(made)
    return made


def found(db, redis_client, settings, workspace="w1"):
    return attention.of_workspace(History(db, workspace), redis_client, settings)


def test_where_all_is_well_nothing_is_found(db, redis_client, settings, agent):
    assert found(db, redis_client, settings) == []
    assert attention.of_installation(db) == []


def test_an_agent_whose_jobs_fail_often_is_found(db, redis_client, settings, agent):
    at = (utcnow() - timedelta(minutes=2)).replace(second=0, microsecond=0)
    of = {"workspace_id": "w1", "at": at, "failed": 9, "agents": [{"name": "a1", "n": 4}]}
    db.history_minutes.insert_one(of)
    assert found(db, redis_client, settings) == []
    db.history_minutes.update_one({}, {"$set": {"agents.0.n": 5}})
    [finding] = found(db, redis_client, settings)
    assert (finding.kind, finding.about, finding.title) == ("agent", "a1", "scout fails")


@pytest.mark.parametrize(("status", "said"), [("failed", True), ("unhealthy", True), ("ready", False)])
def test_an_agents_process_that_failed_is_found(db, redis_client, settings, agent, status, said):
    db.runtimes.insert_one({**records.born("w1", "a1"), "status": status, "last_error": "no room"})
    assert [finding.detail for finding in found(db, redis_client, settings)] == ["no room"] * said


@pytest.mark.parametrize(("used", "bad"), [(79, None), (80, False), (100, True)])
def test_an_allowance_is_found_from_80_per_cent_on(db, redis_client, settings, agent, used, bad):
    month = f"{utcnow():%Y-%m}"
    mark = {"workspace_id": "w1", "agent_id": "a1", "tier": "economy", "month": month}
    db.usage_allowances.insert_one({**mark, "allowance": 100, "used": used})
    assert [finding.bad for finding in found(db, redis_client, settings)] == ([] if bad is None else [bad])


def test_a_budget_that_is_used_up_is_found(db, redis_client, settings):
    limits = {"budget_usd": 1, "budget_period": "month"}
    key, _ = keys.make(db, role="member", workspace_id="w1", name="CI", limits=limits, created_by="test")
    assert found(db, redis_client, settings) == []
    db.budgets.update_one({"key_id": key["_id"]}, {"$set": {"used": Decimal128(Decimal(1))}})
    [finding] = found(db, redis_client, settings)
    assert (finding.kind, finding.title) == ("budget", "The budget of the key CI is used up")


def test_a_provider_whose_breaker_is_open_is_found_by_those_who_ask_it(db, redis_client, settings, agent):
    config = {**agent["llm_config"], "provider": "openai"}
    db.agents.update_one({"_id": "a1"}, {"$set": {"llm_config": config}})
    target = Target("openai", "gpt-4o-mini", "openai", "https://api.openai.com/v1", "sk-1", "byokey")
    for _ in range(FAILURES):
        Breaker(redis_client).failed(target, ProviderBusy("busy"))
    [finding] = found(db, redis_client, settings)
    assert (finding.kind, finding.about) == ("provider", "openai")
    assert found(db, redis_client, settings, "w2") == []


@pytest.mark.parametrize(
    ("state", "minutes", "said"),
    [("due", 6, "1 callback does not arrive"), ("due", 4, None), ("failed", 60, "1 callback was given up")],
)
def test_callbacks_that_do_not_arrive_are_found(db, redis_client, settings, state, minutes, said):
    at = utcnow() - timedelta(minutes=minutes)
    delivery = born("d1", workspace_id="w1", job_id="j1", event="e", url="https://a.example/x", now=at)
    db.deliveries.insert_one({**delivery, "state": state})
    assert [finding.title for finding in found(db, redis_client, settings)] == ([said] if said else [])
    assert found(db, redis_client, settings, "w2") == []


def test_workers_that_died_lately_are_found(db):
    died = {"dead": True, "role": "chat", "host": "h1", "pid": 7}
    db.processes.insert_one({**died, "declared_dead_at": utcnow() - timedelta(minutes=5)})
    db.processes.insert_one({**died, "declared_dead_at": utcnow() - timedelta(hours=2)})
    db.processes.insert_one({**died, "stopped_at": utcnow()})
    assert [finding.kind for finding in attention.of_installation(db)] == ["worker"]


@pytest.mark.parametrize(
    ("ago_s", "every_s", "error", "said"),
    [
        (75, 1, None, "late"),
        (30, 1, None, None),
        (7200, 3600, None, None),
        (0, 1, "KeyError", "failed"),
    ],
)
def test_a_tick_that_is_late_or_failed_is_found(db, ago_s, every_s, error, said):
    ran = utcnow() - timedelta(seconds=ago_s)
    db.ticks.insert_one({"_id": "meter", "last_run": ran, "every_s": every_s, "error": error})
    titles = [finding.title for finding in attention.of_installation(db)]
    assert [title.rpartition(" ")[2] for title in titles] == ([said] if said else [])
