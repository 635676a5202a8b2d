"""Admission: hard caps and budgets are asked before a job is accepted, and nobody else is held up."""

from dataclasses import replace
from decimal import Decimal

import pytest
from bson.decimal128 import Decimal128

from core.accounts.keys import Caller
from core.agents import agent_config, agents
from core.clock import utcnow
from core.errors import Invalid
from core.ids import new_id
from core.jobs.model import born
from core.metering import admission
from core.metering.budget import OverLimit
from core.store.remembered import KEPT_S, Remembered
from tests.core.metering.rows import PRICES, managed, put
from tests.factory import TARGET, draft

CONFIG = {**agent_config.EMPTY, "managed": True, "tier": "economy"}
AGENT = {**agents.born("w1", "a1", {"name": "a"}), "llm_config": CONFIG}
OURS = {**TARGET, "provider": "minimax", "model": "MiniMax-M2.5", "key_kind": "managed", "tier": "economy"}
BLOCKING = {**AGENT, "limit_policy": "block"}
ASKED = {"messages": [{"role": "user", "content": "hello"}]}


def ask(db, agent=AGENT, targets=(OURS,)):
    """The models that may be asked."""
    plan = {"targets": list(targets)}
    admitted = admission.within_cap(db, agent, plan, {"economy": 1000}, utcnow())
    return [target["model"] for target in admitted["targets"]]


def hold(caller, *, targets=(TARGET,), request=ASKED, **of_agent):
    """What is reserved for one call."""
    found = admission.reservation(
        PRICES,
        job_id=new_id(),
        caller=caller,
        own=dict,
        plan={"targets": list(targets), "agent": of_agent},
        request=request,
        now=utcnow(),
        unknown_window=16_384,
    )
    if found is None:
        return None
    reserved, plan = found
    (held,) = reserved.change.holds.values()
    assert held == reserved.needed
    assert plan["budget"]["usd"] == "0.01"
    assert plan["budget"]["all"] is (caller.role == "admin")
    return held


@pytest.fixture
def used_up(db):
    put(db, [managed(utcnow(), (900, 200))])
    db.workspaces.insert_one({"_id": "w1"})


def ask_again(db, targets=(OURS,), known=None, agent_id="a1"):
    """The models that may be asked of a job that was accepted, and has waited."""
    job = born(draft(plan={"targets": list(targets)}, agent_id=agent_id), new_id(), utcnow())
    admitted = admission.still_within_cap(db, known or Remembered(), job, {"economy": 1000}, utcnow())
    return [target["model"] for target in admitted["targets"]]


@pytest.fixture
def caller():
    return Caller("k1", "member", "w1", budget_usd=Decimal128("0.01"), budget_period="day")


def test_an_allowance_that_is_used_up_blocks_nobody_by_default(db, used_up):
    assert ask(db) == ["MiniMax-M2.5"]


def test_the_agents_policy_blocks(db, used_up):
    with pytest.raises(OverLimit) as refused:
        ask(db, BLOCKING)
    said = refused.value.as_dict()
    assert (said["limit"], said["used"], said["unit"]) == (1000, 1100, "tokens")
    assert said["resets_at"].endswith("-01T00:00:00.000Z")


def test_the_stricter_of_the_agents_and_the_workspaces_policy_holds(db, used_up):
    db.workspaces.update_one({"_id": "w1"}, {"$set": {"limit_policy": "block"}})
    with pytest.raises(OverLimit):
        ask(db)
    with pytest.raises(OverLimit):
        ask(db, {**AGENT, "limit_policy": "log"})
    db.workspaces.update_one({"_id": "w1"}, {"$set": {"limit_policy": "log"}})
    assert ask(db, {**AGENT, "limit_policy": "log"}) == ["MiniMax-M2.5"]
    with pytest.raises(OverLimit):
        ask(db, BLOCKING)


def test_own_keys_know_no_allowance(db, used_up):
    assert ask(db, {**BLOCKING, "llm_config": {**CONFIG, "managed": False}}, [TARGET]) == ["gpt-4o-mini"]


def test_a_managed_fallback_is_left_out_and_the_users_own_key_goes_on(db, used_up):
    config = {**CONFIG, "managed": False, "allow_managed_fallback": True}
    both = [TARGET, OURS]
    assert ask(db, {**BLOCKING, "llm_config": config}, both) == ["gpt-4o-mini"]
    assert ask(db, {**AGENT, "llm_config": config}, both) == ["gpt-4o-mini", "MiniMax-M2.5"]


def test_what_has_waited_is_asked_by_the_policies_of_today(db, used_up):
    db.agents.insert_one(AGENT)
    assert ask_again(db) == ["MiniMax-M2.5"]
    db.workspaces.update_one({"_id": "w1"}, {"$set": {"limit_policy": "block"}})
    with pytest.raises(OverLimit):
        ask_again(db)
    db.workspaces.update_one({"_id": "w1"}, {"$set": {"limit_policy": "log"}})
    db.agents.update_one({"_id": "a1"}, {"$set": {"limit_policy": "block"}})
    with pytest.raises(OverLimit):
        ask_again(db)
    assert ask_again(db, [TARGET, OURS]) == ["gpt-4o-mini"]
    assert ask_again(db, [TARGET]) == ["gpt-4o-mini"]


def test_the_workspaces_policy_holds_for_an_agent_that_is_gone(db, used_up):
    assert ask_again(db) == ["MiniMax-M2.5"]
    db.workspaces.update_one({"_id": "w1"}, {"$set": {"limit_policy": "block"}})
    with pytest.raises(OverLimit):
        ask_again(db)


def test_what_an_agent_has_used_is_remembered_for_a_moment(db):
    db.agents.insert_one(BLOCKING)
    turned = [0.0]
    known = Remembered(now=lambda: turned[0])
    assert ask_again(db, known=known) == ["MiniMax-M2.5"]
    put(db, [managed(utcnow(), (900, 200))])
    assert ask_again(db, known=known) == ["MiniMax-M2.5"]
    turned[0] = KEPT_S
    with pytest.raises(OverLimit):
        ask_again(db, known=known)


def test_what_one_agent_has_used_is_not_remembered_of_another(db, used_up):
    db.workspaces.update_one({"_id": "w1"}, {"$set": {"limit_policy": "block"}})
    known = Remembered()
    assert ask_again(db, known=known, agent_id="a2") == ["MiniMax-M2.5"]
    with pytest.raises(OverLimit):
        ask_again(db, known=known)
    assert ask_again(db, known=known, agent_id="a2") == ["MiniMax-M2.5"]


def test_a_key_without_a_budget_reserves_nothing():
    assert hold(Caller("k1", "member", "w1")) is None


def test_a_budget_is_to_hold_what_the_call_may_cost(caller):
    said = 1000 * Decimal("0.6") / 1_000_000
    assert said < hold(caller, max_tokens=1000) < said + Decimal("0.0001")


def test_the_request_may_ask_for_less_than_the_agent(caller):
    assert hold(caller, request={**ASKED, "max_tokens": 10}, max_tokens=1000) < Decimal("0.0001")


def test_a_budget_cannot_be_kept_for_a_model_without_a_price(caller):
    with pytest.raises(Invalid) as refused:
        hold(caller, targets=[{**TARGET, "model": "of my own"}])
    assert refused.value.code == "price_unknown"


def test_the_sandbox_costs_nothing(caller):
    assert hold(caller, targets=[{**TARGET, "provider": "sandbox", "key_kind": "sandbox"}]) == 0


def test_what_is_reserved_is_what_the_dearest_target_may_cost(caller):
    dear = {**TARGET, "model": "gpt-4o"}
    assert hold(caller, targets=(TARGET, dear)) == hold(caller, targets=(dear,)) > hold(caller)


def test_the_budget_of_an_administrators_key_is_for_all_workspaces(caller):
    assert hold(replace(caller, role="admin")) == hold(caller)
