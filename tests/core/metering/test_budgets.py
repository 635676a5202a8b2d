"""Budgets: hard, exact, and never a 402 because of a crash."""

import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from bson.decimal128 import Decimal128

from core.accounts import keys
from core.accounts.keys import Caller
from core.clock import utcnow
from core.ids import new_id
from core.jobs.claim import claim, finish, hand_back, note_unkept
from core.jobs.model import born
from core.metering import allowances, budgets, ledger, rollups, true_up
from core.metering.budget import OverLimit
from core.metering.budget import of_key as of_caller
from core.metering.estimate import costs_of, largest
from core.metering.sums import exact
from tests.core.metering.rows import PRICES, at, call, enter, managed, put, row
from tests.factory import draft

CENT = Decimal("0.01")


@pytest.fixture
def key(db):
    made, _ = keys.make(
        db,
        role="member",
        workspace_id="w1",
        limits={"budget_usd": 0.05, "budget_period": "month"},
        created_by="t",
    )
    return db["keys"].find_one({"_id": made["_id"]})


@pytest.fixture
def budget(key):
    return of_key(key, utcnow())


def of_key(key, now):
    limits = {"budget_usd": key["budget_usd"], "budget_period": key["budget_period"]}
    return of_caller(Caller(key["_id"], key["role"], key["workspace_id"], **limits), now)


def state(db, budget):
    found = db.budgets.find_one({"_id": budget.name})
    return exact(found["spent"]), set(found["holds"])


def job_of(db, key, job_id):
    db.jobs.insert_one(born(draft(created_by=key["_id"]), job_id, utcnow()))
    return claim(db, job_id, "p1")


def test_a_key_without_a_budget_has_none(key):
    assert of_key({**key, "budget_usd": None}, utcnow()) is None


def test_periods_of_budgets(key):
    of_month = of_key(key, at("2026-11-24 12:00"))
    of_day = of_key({**key, "budget_period": "day"}, at("2026-11-24 12:00"))
    assert (of_month.period, of_month.resets_at) == ("2026-11", at("2026-12-01 00:00"))
    assert (of_day.period, of_day.resets_at) == ("2026-11-24", at("2026-11-25 00:00"))


def test_what_is_reserved_counts_and_the_402_says_how_much(db, key, budget):
    for _ in range(5):
        job_id = new_id()
        job_of(db, key, job_id)
        budgets.reserve(db, budget, job_id, CENT)
        budgets.reserve(db, budget, job_id, CENT)
    with pytest.raises(OverLimit) as refused:
        budgets.reserve(db, budget, new_id(), CENT)
    said = refused.value.as_dict()
    assert (said["code"], said["limit"], said["used"], said["unit"]) == ("budget_exceeded", 0.05, 0.05, "usd")
    assert said["resets_at"].endswith("-01T00:00:00.000Z")


def test_many_at_once_do_not_overdraw(db, key, budget):
    outcomes = []

    def one():
        job_id = new_id()
        job_of(db, key, job_id)
        try:
            budgets.reserve(db, budget, job_id, CENT)
            outcomes.append("in")
        except OverLimit:
            outcomes.append("out")

    threads = [threading.Thread(target=one) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["in"] * 5 + ["out"] * 35


def test_entering_the_calls_settles_at_what_they_cost(db, key, budget):
    job = job_of(db, key, new_id())
    budgets.reserve(db, budget, job["_id"], 5 * CENT)
    finish(db, job, status="succeeded", calls=[call(tokens=(100_000, 0))], result={})
    enter(db)
    assert state(db, budget) == (Decimal("0.015"), set())
    db.jobs.update_one({"_id": job["_id"]}, {"$set": {"meter": "due"}})
    enter(db)
    budgets.tick(db)
    true_up.tick(db)
    assert state(db, budget) == (Decimal("0.015"), set())
    assert budgets.used(db, budget)["spent_usd"] == 0.015


def test_a_budget_that_is_used_up_takes_nothing_more_not_even_what_seems_free(db, key, budget):
    budgets.reserve(db, budget, new_id(), 5 * CENT)
    with pytest.raises(OverLimit):
        budgets.reserve(db, budget, new_id(), Decimal(0))


def test_two_that_settle_a_job_at_the_same_time_count_it_once(db, key, budget, meanwhile):
    job = job_of(db, key, new_id())
    budgets.reserve(db, budget, job["_id"], 5 * CENT)
    finish(db, job, status="succeeded", calls=[call(tokens=(100_000, 0))], result={})
    done = [db.jobs.find_one({"_id": job["_id"]})]
    entered = [{**row(utcnow(), tokens=(100_000, 0)), "job_id": job["_id"]}]
    meanwhile.before("update", "budgets", lambda: budgets.settle(db, done, entered))
    assert budgets.settle(meanwhile.db, done, entered) == 0
    assert budgets.used(db, budget)["spent_usd"] == 0.015
    assert budgets.used(db, budget)["reserved_usd"] == 0


def test_a_job_that_was_cancelled_before_any_call_gives_everything_back(db, key, budget):
    job = job_of(db, key, new_id())
    budgets.reserve(db, budget, job["_id"], 5 * CENT)
    finish(db, job, status="cancelled", calls=[])
    budgets.reserve(db, budget, new_id(), 5 * CENT)
    assert len(state(db, budget)[1]) == 1


def test_a_reservation_whose_job_never_came_is_released(db, budget):
    lost = new_id()
    budgets.reserve(db, budget, lost, 5 * CENT)
    with pytest.raises(OverLimit):  # it may still come
        budgets.reserve(db, budget, new_id(), CENT)
    db.budgets.update_one({}, {"$set": {f"holds.{lost}.at": utcnow() - timedelta(minutes=2)}})
    budgets.reserve(db, budget, new_id(), CENT)


def test_a_crash_between_ledger_and_settling_is_mended(db, key, budget):
    job = job_of(db, key, new_id())
    budgets.reserve(db, budget, job["_id"], 5 * CENT)
    put(db, [{**row(utcnow(), key=key["_id"]), "_id": f"{job['_id']}:1:0", "job_id": job["_id"]}])
    finish(db, job, status="succeeded", calls=[call()], result={})
    db.jobs.update_one({"_id": job["_id"]}, {"$unset": {"meter": ""}})
    assert budgets.tick(db)["released"] == 1
    assert state(db, budget) == (Decimal("0.0000048"), set())


def test_calls_that_were_not_kept_are_nobodys_spending_after_a_crash_either(db, key, budget):
    job_id = new_id()
    lost = job_of(db, key, job_id)
    budgets.reserve(db, budget, job_id, 5 * CENT)
    hand_back(db, lost, [])
    note_unkept(db, lost, [call()])
    finish(db, claim(db, job_id, "p2"), status="succeeded", calls=[call(attempt=2)], result={})
    ledger.insert(db, list(ledger.rows_of(db.jobs.find_one({"_id": job_id}), PRICES)))
    db.jobs.update_one({"_id": job_id}, {"$unset": {"meter": ""}})
    assert db.token_usage.count_documents({}) == 2
    assert budgets.tick(db)["released"] == 1
    assert state(db, budget) == (Decimal("0.0000048"), set())


def test_a_budget_that_is_set_later_knows_what_was_spent_before(db, key, budget):
    put(
        db,
        [
            row(utcnow(), key=key["_id"], tokens=(100_000, 0)),
            row(utcnow(), key="another", tokens=(100_000, 0)),
        ],
    )
    budgets.reserve(db, budget, new_id(), CENT)
    assert state(db, budget)[0] == Decimal("0.015")


def test_what_was_spent_is_the_ledgers_word_in_the_end(db, key, budget):
    first = row(at(f"{budget.period}-01 00:30"), key=key["_id"], tokens=(100_000, 0))
    put(db, [first])
    budgets.reserve(db, budget, new_id(), CENT)
    db.budgets.update_one({}, {"$set": {"spent": Decimal128("9")}})
    rollups.tick(db, utcnow() + timedelta(days=40))
    true_up.tick(db)
    assert state(db, budget)[0] == Decimal("0.015")


def test_a_call_that_is_in_the_ledger_and_still_reserved_is_not_spent_twice(db, key, budget):
    """A true-up between the two steps of entering a job's calls."""
    job = job_of(db, key, new_id())
    budgets.reserve(db, budget, job["_id"], 2 * CENT)
    finish(db, job, status="succeeded", calls=[call(tokens=(100_000, 0))], result={})
    done = db.jobs.find_one({"_id": job["_id"]})
    entered = list(ledger.rows_of(done, PRICES))
    put(db, entered)
    true_up.tick(db)
    budgets.settle(db, [done], entered)
    assert budgets.used(db, budget)["spent_usd"] == 0.015
    assert budgets.used(db, budget)["reserved_usd"] == 0


def test_a_days_budget_is_set_from_the_ledger_beside_a_months(db, key, budget):
    daily = of_key({**key, "budget_period": "day"}, utcnow())
    put(db, [row(utcnow(), key=key["_id"], tokens=(100_000, 0))])
    for each in (daily, budget):
        budgets.reserve(db, each, new_id(), CENT)
    db.budgets.update_many({}, {"$set": {"spent": Decimal128("9")}})
    true_up.tick(db)
    assert [state(db, each)[0] for each in (daily, budget)] == [Decimal("0.015")] * 2


def test_what_an_admins_key_spends_in_other_workspaces_counts(db):
    admin = Caller("k1", "admin", "w1", budget_usd=Decimal128("1"), budget_period="month")
    budget = of_caller(admin, utcnow())
    spent = [row(utcnow(), workspace=name, tokens=(100_000, 0)) for name in ("w1", "w2")]
    put(db, spent)
    budgets.reserve(db, budget, new_id(), CENT)
    true_up.tick(db)
    assert state(db, budget)[0] == Decimal("0.03")


def test_a_budget_that_changes_meanwhile_is_left_for_the_next_time(db, key, budget):
    budgets.used(db, budget)
    put(db, [row(utcnow(), key=key["_id"], tokens=(100_000, 0))])
    seen = db.budgets.find_one({})
    budgets.reserve(db, budget, new_id(), CENT)
    assert not true_up._set(db, seen, Decimal("0.015"), over=False)
    true_up.tick(db)
    assert state(db, budget)[0] == Decimal("0.015")


def test_a_period_that_is_over_is_left_alone(db, key, budget):
    budgets.used(db, budget)
    true_up.tick(db, budget.resets_at)
    assert db.budgets.find_one({})["open"] is False


def largest_cost(plan, request):
    return largest(costs_of(plan, request, PRICES, unknown_window=16_384))


def test_an_estimate_is_the_dearest_targets():
    request = {"messages": [{"role": "user", "content": "x" * 3000}], "max_tokens": 1000}
    cheap = {"provider": "openai", "model": "gpt-4o-mini", "key_kind": "byokey"}
    dear = {"provider": "openai", "model": "gpt-4o", "key_kind": "byokey"}
    asked = largest_cost({"targets": [dear]}, request)
    assert largest_cost({"targets": [cheap, dear]}, request) == asked > CENT
    assert largest_cost({"targets": [cheap, {**dear, "model": "of my own"}]}, request) is None


def test_an_answer_without_a_limit_is_taken_for_4096_tokens_and_the_agents_own_limit_counts():
    plan = {"targets": [{"provider": "openai", "model": "gpt-4o-mini", "key_kind": "byokey"}]}
    asked = {"messages": [{"role": "user", "content": "hi"}]}
    assert largest_cost(plan, asked) == largest_cost(plan, {**asked, "max_tokens": 4096})
    limited = {**plan, "agent": {"max_tokens": 50}}
    assert largest_cost(limited, asked) == largest_cost(plan, {**asked, "max_tokens": 50})


def test_a_conversation_may_fill_the_models_window():
    plan = {"targets": [{"provider": "openai", "model": "gpt-4o-mini", "key_kind": "byokey"}]}
    asked = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 10}
    alone = largest_cost(plan, asked)
    window = 128_000 * Decimal("0.15") / 1_000_000
    assert largest_cost(plan, {**asked, "conversation_id": "c1"}) >= window > alone


def test_at_a_users_own_address_nobody_knows_the_window():
    managed = {"provider": "openai", "model": "gpt-4o-mini", "key_kind": "managed"}
    plan = {"targets": [{**managed, "key_kind": "custom"}, managed]}
    asked = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 10, "conversation_id": "c1"}
    assert largest_cost(plan, asked) < 17_000 * Decimal("0.15") / 1_000_000


def test_a_blocking_limit_names_itself(db):
    now = utcnow()
    put(db, [managed(now, (900, 100))])
    allowances.check(db, "w1", "a1", "economy", 1001, now)
    with pytest.raises(OverLimit) as refused:
        allowances.check(db, "w1", "a1", "economy", 1000, now)
    assert refused.value.as_dict()["unit"] == "tokens"
