"""Admission: hard caps and budgets are asked before a job is accepted, and nobody else is held up."""

from decimal import Decimal

import pytest
from bson.decimal128 import Decimal128

from core.errors import Invalid
from core.ids import new_id, utcnow
from core.metering import budgets
from core.metering.admission import admit
from core.metering.budgets import OverLimit
from core.metering.sums import exact
from tests.core.metering.rows import PRICES, managed, put
from tests.factory import TARGET

AGENT = {"_id": "a1", "workspace_id": "w1", "llm_config": {"managed": True, "tier": "economy"}}
FREE = {"_id": "k1", "workspace_id": "w1", "budget_usd": None}
ASKED = {"messages": [{"role": "user", "content": "hello"}]}


def ask(db, *, key=FREE, agent=AGENT, targets=(TARGET,), request=ASKED, **of_agent):
    return admit(
        db,
        PRICES,
        job_id=new_id(),
        key=key,
        agent=agent,
        plan={"targets": list(targets), "agent": of_agent},
        request=request,
        monthly_tokens={"economy": 1000},
        now=utcnow(),
    )


@pytest.fixture
def used_up(db):
    put(db, [managed(utcnow(), (900, 200))])
    db.workspaces.insert_one({"_id": "w1"})


@pytest.fixture
def key(db):
    key = {**FREE, "budget_usd": Decimal128("0.01"), "budget_period": "day"}
    db["keys"].insert_one(key)
    return key


def test_an_allowance_that_is_used_up_blocks_nobody_by_default(db, used_up):
    assert ask(db) is None


def test_the_agents_policy_blocks(db, used_up):
    with pytest.raises(OverLimit) as refused:
        ask(db, agent={**AGENT, "limit_policy": "block"})
    said = refused.value.as_dict()
    assert (said["limit"], said["used"], said["unit"]) == (1000, 1100, "tokens")
    assert said["resets_at"].endswith("-01T00:00:00.000Z")


def test_the_workspaces_policy_holds_where_the_agent_has_none(db, used_up):
    db.workspaces.update_one({"_id": "w1"}, {"$set": {"limit_policy": "block"}})
    with pytest.raises(OverLimit):
        ask(db)
    assert ask(db, agent={**AGENT, "limit_policy": "log"}) is None


def test_own_keys_know_no_allowance(db, used_up):
    assert ask(db, agent={**AGENT, "limit_policy": "block", "llm_config": {"managed": False}}) is None


def test_a_budget_holds_what_the_call_may_cost(db, key):
    budget = ask(db, key=key, max_tokens=1000)
    (held,) = db.budgets.find_one({"_id": budget.name})["holds"].values()
    said = 1000 * Decimal("0.6") / 1_000_000
    assert said < exact(held["usd"]) < said + Decimal("0.0001")


def test_the_request_may_ask_for_less_than_the_agent(db, key):
    budget = ask(db, key=key, request={**ASKED, "max_tokens": 10}, max_tokens=1000)
    (held,) = db.budgets.find_one({"_id": budget.name})["holds"].values()
    assert exact(held["usd"]) < Decimal("0.0001")


def test_what_does_not_fit_is_refused_and_what_is_released_fits_again(db, key):
    job_id = new_id()
    budget = budgets.of_key(key, utcnow())
    budgets.reserve(db, budget, job_id, Decimal("0.0099"))
    with pytest.raises(OverLimit):
        ask(db, key=key, max_tokens=1000)
    budgets.release(db, budget, job_id)
    assert ask(db, key=key, max_tokens=1000) == budget


def test_a_budget_cannot_be_kept_for_a_model_without_a_price(db, key):
    with pytest.raises(Invalid):
        ask(db, key=key, targets=[{**TARGET, "model": "of my own"}])


def test_the_sandbox_costs_nothing(db, key):
    budget = ask(db, key=key, targets=[{**TARGET, "provider": "sandbox", "key_kind": "sandbox"}])
    (held,) = db.budgets.find_one({"_id": budget.name})["holds"].values()
    assert exact(held["usd"]) == 0
