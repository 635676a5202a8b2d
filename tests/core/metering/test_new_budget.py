"""A new budget of a key: in the plans of what this key has under way, and of nothing else."""

from __future__ import annotations

import pytest
from bson.decimal128 import Decimal128

from core.accounts import keys
from core.clock import utcnow
from core.jobs.claim import claim
from core.metering import new_budget
from tests.core.metering.rows import finished
from tests.factory import queued

FIVE = {"budget_usd": Decimal128("5"), "budget_period": "day"}


@pytest.fixture
def key(db):
    """Makes a key without a budget."""

    def make(role="member"):
        made, _ = keys.make(db, role=role, workspace_id="w1", limits={}, created_by="t")
        return db["keys"].find_one({"_id": made["_id"]})

    return make


def budgets_of(db, *ids):
    return [db.jobs.find_one({"_id": one})["plan"].get("budget") for one in ids]


@pytest.mark.parametrize(("role", "everywhere"), [("member", False), ("admin", True)])
def test_it_is_in_the_plan_of_all_that_waits_or_runs(db, key, monkeypatch, role, everywhere):
    monkeypatch.setattr(new_budget, "AT_ONCE", 2)
    before = key(role)
    ids = [queued(db, created_by=before["_id"])["_id"] for _ in range(3)]
    claim(db, ids[2], "p1")
    new_budget.hold(db, before, {**before, **FIVE}, utcnow())
    of = {"usd": "5", "per": "day", "all": everywhere, "changed": True}
    assert budgets_of(db, *ids) == [of] * 3
    new_budget.hold(db, {**before, **FIVE}, before, utcnow())
    assert budgets_of(db, *ids) == [None] * 3


def test_what_another_has_asked_and_what_asks_no_provider_is_left_alone(db, key):
    before = key()
    ids = [
        queued(db)["_id"],
        queued(db, created_by=before["_id"], kind="agent_start")["_id"],
        finished(db, [], created_by=before["_id"]),
    ]
    new_budget.hold(db, before, {**before, **FIVE}, utcnow())
    assert budgets_of(db, *ids) == [None] * 3


def test_one_that_is_the_same_as_before_is_asked_for_by_nobody_anew(db, key):
    before = {**key(), **FIVE}
    job_id = queued(db, created_by=before["_id"])["_id"]
    new_budget.hold(db, before, before, utcnow())
    assert budgets_of(db, job_id) == [None]


def test_a_job_that_ends_meanwhile_holds_nothing(db, key, meanwhile):
    before = key()
    job_id = queued(db, created_by=before["_id"])["_id"]
    ended = {"$set": {"status": "cancelled"}}
    meanwhile.before("update", "jobs", lambda: db.jobs.update_one({"_id": job_id}, ended))
    new_budget.hold(meanwhile.db, before, {**before, **FIVE}, utcnow())
    assert db.jobs.find_one({"_id": job_id}).get("holds", {}) == {}
