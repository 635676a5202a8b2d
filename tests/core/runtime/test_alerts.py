"""Who is told what: each move of a process, and how much of a budget is used up."""

from datetime import timedelta
from decimal import Decimal

import pytest
from bson.decimal128 import Decimal128

from core.accounts import workspaces
from core.agents import agents
from core.clock import utcnow
from core.metering import budgets
from core.metering.budget import OverLimit
from core.runtime import alerts, instance_keys, reads, records
from core.runtime.states import READY, STARTING
from tests.core.metering.rows import reserve

URL = "https://alerts.example/hook"


@pytest.fixture
def workspace(db):
    return workspaces.change(db, workspaces.make(db, "w", "w"), {"alert_url": URL})


@pytest.fixture
def agent(db, workspace):
    born = agents.born("w", "a1", {"name": "a", "runtime_budget_usd": 10.0, "runtime_budget_period": "day"})
    db.agents.insert_one(born)
    return born


def told(db):
    return {each["_id"]: each for each in db.deliveries.find()}


def moved(db, *statuses, **changes):
    record = records.get_or_born(db, "w", "a1")
    for status in statuses:
        record = records.move(db, record, status, why="because", **changes)
    return record


def test_each_move_is_told_once(db, agent):
    moved(db, STARTING, READY, host="h1")
    assert alerts.tick(db)["moves"] == 2
    assert alerts.tick(db)["moves"] == 0
    first, second = sorted(told(db).values(), key=lambda each: each["_id"])
    assert (first["event"], second["event"]) == ("agent.starting", "agent.ready")
    assert second["payload"] == {
        "agent_id": "a1",
        "status": "ready",
        "before": "starting",
        "at": second["payload"]["at"],
        "host": "h1",
        "reason": "because",
    }
    assert (second["url"], second["state"]) == (URL, "due")


def test_a_crash_between_telling_and_noting_tells_nothing_twice(db, agent):
    moved(db, STARTING)
    alerts.tick(db)
    db.runtimes.update_one({"_id": "a1"}, {"$set": {"alerts_due": True, "told": 0}})
    assert alerts.tick(db)["moves"] == 0
    assert len(told(db)) == 1


def test_a_move_while_the_others_are_told_is_told_next(db, agent, meanwhile):
    moved(db, STARTING)
    meanwhile.before("update", "runtimes", lambda: moved(db, READY))
    alerts.tick(meanwhile.db)
    assert len(told(db)) == 1
    alerts.tick(db)
    assert [each["event"] for each in told(db).values()] == ["agent.starting", "agent.ready"]


def test_without_an_address_nothing_waits(db, agent):
    db.workspaces.update_one({"_id": "w"}, {"$set": {"alert_url": None}})
    moved(db, STARTING)
    assert alerts.tick(db)["moves"] == 0
    db.workspaces.update_one({"_id": "w"}, {"$set": {"alert_url": URL}})
    assert alerts.tick(db)["moves"] == 0
    assert told(db) == {}


def spend(db, agent, usd, at=None):
    budget = instance_keys.budget(agent, at or utcnow())
    budgets.used(db, budget)  # makes it
    counters = [f"{budget.counter}{name}" for name in ("spent", "used")]
    db.budgets.update_one({"_id": budget.name}, {"$set": dict.fromkeys(counters, Decimal128(str(usd)))})
    return budget


def percents(db):
    return sorted(each["payload"]["threshold_percent"] for each in told(db).values())


@pytest.mark.parametrize(
    ("spent", "said"),
    [(4.99, []), (5, [50]), (7.99, [50]), (8, [50, 80]), (9.99, [50, 80]), (10, [50, 80, 100])],
)
def test_a_budget_is_told_at_50_80_and_100_per_cent_once_each(db, agent, spent, said):
    spend(db, agent, spent)
    assert alerts.tick(db)["budgets"] == len(said)
    assert alerts.tick(db)["budgets"] == 0
    assert percents(db) == said


def test_a_call_that_does_not_fit_any_more_uses_the_budget_up(db, agent):
    budget = spend(db, agent, 9)
    assert reads.budget(db, agent)["budget_used_up"] is False
    with pytest.raises(OverLimit):
        reserve(db, budget, "j1", Decimal(2))
    assert reads.budget(db, agent)["budget_used_up"] is True
    alerts.tick(db)
    assert percents(db) == [50, 80, 100]
    reserve(db, budget, "j2", Decimal("0.5"))
    assert reads.budget(db, agent)["budget_used_up"] is False


def test_a_budget_of_a_period_that_is_over_is_history(db, agent):
    spend(db, agent, 10, utcnow() - timedelta(days=1))
    assert alerts.tick(db)["budgets"] == 0
    assert reads.budget(db, agent)["budget_used_up"] is False


def test_without_a_budget_nothing_is_used_up(db, agent):
    free = {**agent, "runtime_budget_usd": None}
    assert reads.budget(db, free) == {"budget": None, "budget_used_up": False}


def test_a_budget_of_a_users_key_is_not_told(db, agent):
    budget = spend(db, agent, 10)
    db.budgets.update_one({"_id": budget.name}, {"$set": {"key_id": "key_1"}})
    assert alerts.tick(db)["budgets"] == 0


def test_what_was_spent_last_month_is_not_told_of_this_one(db, agent):
    agent = {**agent, "runtime_budget_period": "month"}
    db.agents.update_one({}, {"$set": {"runtime_budget_period": "month"}})
    spend(db, agent, 10, utcnow().replace(day=1) - timedelta(days=1))
    assert alerts.tick(db)["budgets"] == 0


def test_the_key_of_a_process_ends_where_the_next_one_gets_its_own(db, agent):
    for instance in ("i1", "i2"):
        instance_keys.make(db, agent, instance)
    assert [key["instance"] for key in db["keys"].find()] == ["i2"]
