"""Budgets: hard, exact, and never a 402 because of a crash."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from bson import encode
from bson.decimal128 import Decimal128

from core.accounts import keys
from core.accounts.keys import Caller
from core.clock import utcnow
from core.ids import new_id
from core.jobs.claim import claim, finish, hand_back, note_unkept
from core.jobs.model import born
from core.metering import allowances, budgets, intents, ledger, rollups, settling, true_up
from core.metering.budget import OverLimit
from core.metering.budget import of_key as of_caller
from core.metering.estimate import costs_of, largest
from core.metering.intents import Change
from core.metering.sums import exact
from tests.core.metering.rows import PRICES, at, call, enter, put, reserve, row
from tests.crashing import Crash, Crashing
from tests.factory import TARGET, draft

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


def spent(db, budget):
    return exact(budgets.counter(db.budgets.find_one({"_id": budget.name}), budget)["spent"])


def reserved(db, budget):
    return Decimal(str(budgets.used(db, budget)["reserved_usd"]))


def job_of(db, key, budget, usd, job_id=None):
    """A running job that holds so much."""
    job_id = job_id or new_id()
    hold = reserve(db, budget, job_id, usd)
    db.jobs.insert_one(born(draft(created_by=key["_id"], holds={budget.month: hold}), job_id, utcnow()))
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
        job_of(db, key, budget, CENT)
    with pytest.raises(OverLimit) as refused:
        reserve(db, budget, new_id(), CENT)
    said = refused.value.as_dict()
    assert (said["code"], said["limit"], said["used"], said["unit"]) == ("budget_exceeded", 0.05, 0.05, "usd")
    assert said["resets_at"].endswith("-01T00:00:00.000Z")


def test_many_at_once_do_not_overdraw(db, key, budget):
    outcomes = []

    def one():
        try:
            job_of(db, key, budget, CENT)
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
    job = job_of(db, key, budget, 5 * CENT)
    finish(db, job, status="succeeded", calls=[call(tokens=(100_000, 0))], result={})
    enter(db)
    assert (spent(db, budget), reserved(db, budget)) == (Decimal("0.015"), 0)
    db.jobs.update_one({"_id": job["_id"]}, {"$set": {"meter": "due"}})
    enter(db)
    budgets.tick(db)
    true_up.tick(db)
    assert (spent(db, budget), reserved(db, budget)) == (Decimal("0.015"), 0)


def test_a_budget_that_is_used_up_takes_nothing_more_not_even_what_seems_free(db, key, budget):
    job_of(db, key, budget, 5 * CENT)
    with pytest.raises(OverLimit):
        reserve(db, budget, new_id(), Decimal(0))


@pytest.mark.parametrize(
    ("used", "refused", "up"),
    [(0, 6, False), (1, 6, False), (2, 4, False), (3, 3, True), (4, 2, True), (5, 1, True)],
)
def test_it_is_used_up_when_a_call_of_usual_size_does_not_fit(db, key, budget, used, refused, up):
    """In cents, of five: one that is larger than all before it together has used up nothing."""
    if used:
        job_of(db, key, budget, used * CENT)
    with pytest.raises(OverLimit):
        reserve(db, budget, new_id(), refused * CENT)
    assert budgets.used_up(db, budget) is up


def test_a_document_that_counts_a_thousand_jobs_is_as_large_as_one_that_counts_ten(db, key):
    rich = of_key({**key, "budget_usd": Decimal128("1000")}, utcnow())
    sizes = []
    for _ in range(3):
        for _ in range(40):
            job_of(db, key, rich, CENT)
        budgets.tick(db)
        sizes.append(len(encode(db.budgets.find_one({}))))
    assert sizes[0] == sizes[1] == sizes[2]


def done_with_rows(db, key, budget):
    job = job_of(db, key, budget, 5 * CENT)
    finish(db, job, status="succeeded", calls=[call(tokens=(100_000, 0))], result={})
    done = db.jobs.find_one({"_id": job["_id"]})
    return [done], list(ledger.rows_of(done, PRICES))


def test_two_that_settle_a_job_at_the_same_time_count_it_once(db, key, budget, meanwhile):
    done, entered = done_with_rows(db, key, budget)
    for before in (("update", "budgets"), ("update", "jobs")):
        meanwhile.before(*before, lambda: settling.settle(db, done, entered))
    assert settling.settle(meanwhile.db, done, entered) == set()
    assert budgets.used(db, budget)["spent_usd"] == 0.015
    assert reserved(db, budget) == 0


def test_one_that_was_held_up_does_not_settle_what_was_settled_long_ago(db, key, budget):
    done, entered = done_with_rows(db, key, budget)
    for _ in range(3):
        settling.settle(db, done, entered)
    assert (spent(db, budget), reserved(db, budget)) == (Decimal("0.015"), 0)


def test_a_hold_that_another_process_brings_to_its_end_meanwhile_counts_once(db, key, budget, meanwhile):
    job = job_of(db, key, budget, CENT)
    meanwhile.before("update", "jobs", lambda: budgets.tick(db))
    holds = budgets.hold_at_least(meanwhile.db, budget, job["_id"], 2 * CENT)
    assert holds == db.jobs.find_one({"_id": job["_id"]})["holds"]
    assert reserved(db, budget) == exact(holds[budget.month]["days"][budget.at]) == 2 * CENT


def test_a_hold_whose_process_died_before_its_job_said_so_is_not_placed_twice(db, key, budget):
    job = job_of(db, key, budget, CENT)
    lost = Change(job["_id"], job["holds"][budget.month], {budget.at: 2 * CENT})
    assert intents.place(db, budget.name, [lost])
    budgets.hold_at_least(db, budget, job["_id"], 3 * CENT)
    assert reserved(db, budget) == 3 * CENT
    assert len(db.budgets.find_one({"_id": budget.name})["pending"]) == 0


def test_a_job_that_held_something_in_two_months_settles_each_at_its_own_calls(db, key):
    november, december = (of_key(key, datetime(2026, *day, tzinfo=UTC)) for day in ((11, 30), (12, 1)))
    job = job_of(db, key, november, CENT)
    budgets.hold_at_least(db, december, job["_id"], CENT)
    finish(db, job, status="succeeded", calls=[], result={})
    rows = [
        {"kept": True, "job_id": job["_id"], "date": each.at, "cost": Decimal128(cost)}
        for each, cost in ((november, CENT), (december, 2 * CENT))
    ]
    assert settling.settle(db, [db.jobs.find_one({"_id": job["_id"]})], rows) == set()
    assert [spent(db, each) for each in (november, december)] == [CENT, 2 * CENT]


def test_a_job_holds_no_more_than_it_needs_and_nothing_more_once_it_has_ended(db, key, budget):
    job = job_of(db, key, budget, CENT)
    before = db.budgets.find_one()
    assert budgets.hold_at_least(db, budget, job["_id"], CENT) == job["holds"]
    finish(db, job, status="succeeded", calls=[], result={})
    assert budgets.hold_at_least(db, budget, job["_id"], 2 * CENT) == {}
    assert db.budgets.find_one() == before


def test_what_is_reserved_while_the_jobs_are_read_counts_once(db, key, budget, meanwhile):
    job_of(db, key, budget, CENT)
    budgets.tick(db)
    meanwhile.before("find", "jobs", lambda: job_of(db, key, budget, CENT))
    true_up.tick(meanwhile.db)
    assert reserved(db, budget) == 2 * CENT


def test_a_job_that_was_cancelled_before_any_call_gives_everything_back(db, key, budget):
    job = job_of(db, key, budget, 5 * CENT)
    finish(db, job, status="cancelled", calls=[])
    job_of(db, key, budget, 4 * CENT)
    assert reserved(db, budget) == 4 * CENT


def test_a_reservation_whose_job_never_came_is_released(db, budget):
    reserve(db, budget, new_id(), 5 * CENT)
    with pytest.raises(OverLimit):  # it may still come
        reserve(db, budget, new_id(), CENT)
    reserve(db, budget, new_id(), CENT, utcnow() + timedelta(minutes=2))
    assert reserved(db, budget) == CENT


def test_a_reservation_that_was_released_is_not_released_again(db, key, budget):
    job_of(db, key, budget, CENT)
    change = Change("never", None, {budget.at: CENT})
    budgets.place(db, budget, change, CENT)
    for _ in range(2):
        budgets.release(db, budget, change)
    assert reserved(db, budget) == CENT


def test_calls_that_were_not_kept_are_nobodys_spending_after_a_crash_either(db, key, budget):
    lost = job_of(db, key, budget, 5 * CENT)
    hand_back(db, lost, [])
    note_unkept(db, lost, [call()])
    finish(db, claim(db, lost["_id"], "p2"), status="succeeded", calls=[call(attempt=2)], result={})
    ledger.insert(db, list(ledger.rows_of(db.jobs.find_one({"_id": lost["_id"]}), PRICES)))
    enter(db)
    assert db.token_usage.count_documents({}) == 2
    assert (spent(db, budget), reserved(db, budget)) == (Decimal("0.0000048"), 0)


def test_a_budget_that_is_set_later_knows_what_was_spent_before(db, key, budget):
    put(
        db,
        [
            row(utcnow(), key=key["_id"], tokens=(100_000, 0)),
            row(utcnow(), key="another", tokens=(100_000, 0)),
        ],
    )
    reserve(db, budget, new_id(), CENT)
    assert spent(db, budget) == Decimal("0.015")


def test_what_was_spent_is_the_ledgers_word_in_the_end(db, key, budget):
    first = row(at(f"{budget.period}-01 00:30"), key=key["_id"], tokens=(100_000, 0))
    put(db, [first])
    reserve(db, budget, new_id(), CENT)
    wrong = {"spent": Decimal128("9"), f"days.{budget.at}.spent": Decimal128("8")}
    db.budgets.update_one({}, {"$set": wrong})
    rollups.tick(db, utcnow() + timedelta(days=40))
    true_up.tick(db)
    assert spent(db, budget) == Decimal("0.015")
    of_today = Decimal("0.015") if budget.at.endswith("-01") else 0
    assert exact(db.budgets.find_one({})["days"][budget.at]["spent"]) == of_today


def test_what_is_held_is_the_jobs_word_in_the_end(db, key, budget):
    queued, running = job_of(db, key, budget, CENT), job_of(db, key, budget, CENT)
    hand_back(db, queued, [])
    budgets.tick(db)
    wrong = {"used": Decimal128("9"), f"days.{budget.at}.used": Decimal128("9")}
    db.budgets.update_one({}, {"$set": wrong})
    true_up.tick(db)
    assert reserved(db, budget) == 2 * CENT
    finish(db, running, status="failed", calls=[])
    db.budgets.update_one({}, {"$set": wrong})
    true_up.tick(db)
    assert reserved(db, budget) == 2 * CENT  # it is done, and not settled
    enter(db)
    assert reserved(db, budget) == CENT


def test_what_is_held_is_left_alone_while_a_job_is_on_its_way(db, key, budget):
    reserve(db, budget, new_id(), CENT)
    put(db, [row(utcnow(), key=key["_id"], tokens=(100_000, 0))])
    true_up.tick(db)
    assert (spent(db, budget), reserved(db, budget)) == (Decimal("0.015"), CENT)


def test_a_call_that_is_in_the_ledger_and_still_reserved_is_not_spent_twice(db, key, budget):
    """A true-up between the two steps of entering a job's calls."""
    done, entered = done_with_rows(db, key, budget)
    put(db, entered)
    true_up.tick(db)
    assert (spent(db, budget), reserved(db, budget)) == (0, 5 * CENT)
    settling.settle(db, done, entered)
    true_up.tick(db)  # the mark of the job is still there
    assert (spent(db, budget), reserved(db, budget)) == (Decimal("0.015"), 0)


def test_both_periods_are_counted_whichever_the_key_has(db, key, budget):
    put(db, [row(utcnow(), key=key["_id"], tokens=(100_000, 0))])
    daily = of_key({**key, "budget_period": "day"}, utcnow())
    job_of(db, key, daily, CENT)
    for each in (daily, budget):
        stands = budgets.used(db, each)
        assert (stands["spent_usd"], stands["reserved_usd"]) == (0.015, 0.01)


def test_what_an_admins_key_spends_in_other_workspaces_counts(db):
    admin = Caller("k1", "admin", "w1", budget_usd=Decimal128("1"), budget_period="month")
    budget = of_caller(admin, utcnow())
    rows = [row(utcnow(), workspace=name, tokens=(100_000, 0)) for name in ("w1", "w2")]
    put(db, rows)
    reserve(db, budget, new_id(), CENT)
    true_up.tick(db)
    assert spent(db, budget) == Decimal("0.03")


def test_a_job_that_ends_while_the_ledger_is_summed_up_is_not_spent_twice(db, key, budget, meanwhile):
    job = job_of(db, key, budget, 5 * CENT)

    def end():
        finish(db, job, status="succeeded", calls=[call(tokens=(100_000, 0))], result={})
        put(db, list(ledger.rows_of(db.jobs.find_one({"_id": job["_id"]}), PRICES)))

    meanwhile.before("aggregate", "token_usage", end)
    db.usage_days.insert_one(
        {"_id": "w1:today", "workspace_id": "w1", "date": budget.at, "month": budget.month, "open": True}
    )
    true_up.tick(meanwhile.db)
    assert (spent(db, budget), reserved(db, budget)) == (0, 5 * CENT)
    enter(db)
    assert (spent(db, budget), reserved(db, budget)) == (Decimal("0.015"), 0)


@pytest.mark.parametrize("before", [("aggregate", "token_usage"), ("update", "budgets")])
def test_a_job_that_is_settled_while_the_ledger_is_summed_up_counts_once(db, key, budget, meanwhile, before):
    job = job_of(db, key, budget, 5 * CENT)
    put(db, [row(utcnow(), key=key["_id"], tokens=(10_000, 0))])
    budgets.tick(db)

    def end():
        finish(db, job, status="succeeded", calls=[call(tokens=(100_000, 0))], result={})
        enter(db)

    meanwhile.before(*before, end)
    true_up.tick(meanwhile.db)
    true_up.tick(db)
    assert (spent(db, budget), reserved(db, budget)) == (Decimal("0.0165"), 0)


def test_a_period_that_is_over_is_left_alone(db, key, budget):
    budgets.used(db, budget)
    true_up.tick(db, budget.resets_at)
    assert db.budgets.find_one({})["open"] is False


def test_one_in_which_a_job_still_holds_something_is_not(db, key, budget):
    job_of(db, key, budget, CENT)
    true_up.tick(db, budget.resets_at)
    assert db.budgets.find_one({})["open"] is True


def largest_cost(plan, request):
    return largest(costs_of(plan, request, PRICES, unknown_window=16_384))


def test_an_estimate_is_the_dearest_targets():
    request = {"messages": [{"role": "user", "content": "x" * 3000}], "max_tokens": 1000}
    cheap = {"provider": "openai", "model": "gpt-4o-mini", "key_kind": "byokey", "wire": "openai"}
    dear = {"provider": "openai", "model": "gpt-4o", "key_kind": "byokey", "wire": "openai"}
    asked = largest_cost({"targets": [dear]}, request)
    assert largest_cost({"targets": [cheap, dear]}, request) == asked > CENT
    assert largest_cost({"targets": [cheap, {**dear, "model": "of my own"}]}, request) is None


def test_an_answer_without_a_limit_is_taken_for_what_it_may_be_and_the_agents_own_limit_counts():
    plan = {
        "targets": [{"provider": "openai", "model": "gpt-4o-mini", "key_kind": "byokey", "wire": "openai"}]
    }
    asked = {"messages": [{"role": "user", "content": "hi"}]}
    assert largest_cost(plan, asked) == largest_cost(plan, {**asked, "max_tokens": 4096})
    claude = {
        "targets": [{**TARGET, "provider": "anthropic", "model": "claude-sonnet-4-5", "wire": "anthropic"}]
    }
    assert largest_cost(claude, asked) == largest_cost(claude, {**asked, "max_tokens": 8192})
    limited = {**plan, "agent": {"max_tokens": 50}}
    assert largest_cost(limited, asked) == largest_cost(plan, {**asked, "max_tokens": 50})


def test_a_conversation_may_fill_the_models_window():
    plan = {
        "targets": [{"provider": "openai", "model": "gpt-4o-mini", "key_kind": "byokey", "wire": "openai"}]
    }
    asked = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 10}
    alone = largest_cost(plan, asked)
    window = 128_000 * Decimal("0.15") / 1_000_000
    assert largest_cost(plan, {**asked, "conversation_id": "c1"}) >= window > alone


def test_at_a_users_own_address_nobody_knows_the_window():
    managed = {"provider": "openai", "model": "gpt-4o-mini", "key_kind": "managed", "wire": "openai"}
    plan = {"targets": [{**managed, "key_kind": "custom"}, managed]}
    asked = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 10, "conversation_id": "c1"}
    assert largest_cost(plan, asked) < 17_000 * Decimal("0.15") / 1_000_000


def test_a_blocking_limit_names_itself():
    now = utcnow()
    allowances.check(1000, "economy", 1001, now)
    with pytest.raises(OverLimit) as refused:
        allowances.check(1000, "economy", 1000, now)
    assert refused.value.as_dict()["unit"] == "tokens"


def test_a_refusal_is_forgotten_once_a_call_fits_again(db, key, budget):
    reserve(db, budget, new_id(), 3 * CENT)
    with pytest.raises(OverLimit):
        reserve(db, budget, new_id(), 3 * CENT)
    assert budgets.used_up(db, budget)
    reserve(db, budget, new_id(), CENT)
    assert not budgets.used_up(db, budget)


def test_what_an_ended_job_holds_is_not_free_before_its_calls_are_entered(db, key, budget):
    job = job_of(db, key, budget, 5 * CENT)
    finish(db, job, status="failed", calls=[call(tokens=(100_000, 0))])
    with pytest.raises(OverLimit):
        reserve(db, budget, new_id(), CENT)
    assert reserved(db, budget) == 5 * CENT


def test_a_job_that_runs_again_is_no_reason_to_look_twice_for_room(db, key, budget):
    """It waits for the ledger, with calls of a claim that was lost, and holds what it needs all the same."""
    job = job_of(db, key, budget, 5 * CENT)
    hand_back(db, job, [])
    note_unkept(db, job, [call()])
    with pytest.raises(OverLimit):
        reserve(db, budget, new_id(), CENT)


def test_a_change_that_is_carried_on_takes_the_place_of_no_later_one(db, key, budget, meanwhile):
    job = job_of(db, key, budget, CENT)
    died = Change(job["_id"], job["holds"][budget.month], {budget.at: 2 * CENT})
    budgets.place(db, budget, died, CENT)
    meanwhile.before("update", "jobs", lambda: budgets.hold_at_least(db, budget, job["_id"], 3 * CENT))
    budgets.tick(meanwhile.db)
    held = db.jobs.find_one({"_id": job["_id"]})["holds"][budget.month]["days"]
    assert exact(held[budget.at]) == reserved(db, budget) == 3 * CENT


def test_a_job_that_is_settled_after_its_budget_was_read_is_not_spent_twice(db, key, budget, meanwhile):
    job = job_of(db, key, budget, 5 * CENT)
    budgets.tick(db)

    def end():
        finish(db, job, status="succeeded", calls=[call(tokens=(100_000, 0))], result={})
        enter(db)

    meanwhile.before("find", "jobs", end)
    true_up.tick(meanwhile.db)
    assert (spent(db, budget), reserved(db, budget)) == (Decimal("0.015"), 0)


def test_a_budget_that_somebody_is_just_settling_is_left_alone(db, key, budget, meanwhile):
    (done,), entered = done_with_rows(db, key, budget)
    put(db, entered)
    cost = {budget.at: exact(entered[0]["cost"])}

    def begin():
        budgets.intents.place(db, budget.name, [Change(done["_id"], done["holds"][budget.month], {}, cost)])

    for act in (lambda: None, begin):
        meanwhile.before("find", "budgets", act)
    true_up.tick(meanwhile.db)
    budgets.tick(db)
    assert (spent(db, budget), reserved(db, budget)) == (Decimal("0.015"), 0)


def test_a_job_that_is_settled_in_one_of_two_months_keeps_what_it_has_spent_in_that(db, key):
    november, december = (of_key(key, datetime(2026, *day, tzinfo=UTC)) for day in ((11, 30), (12, 1)))
    job = job_of(db, key, november, CENT)
    budgets.hold_at_least(db, december, job["_id"], CENT)
    calls = [
        call(n, (100_000, 0), started_at=at(f"{day} 12:00"))
        for n, day in enumerate(("2026-11-30", "2026-12-01"))
    ]
    finish(db, job, status="succeeded", calls=calls, result={})
    done = db.jobs.find_one({"_id": job["_id"]})
    entered = list(ledger.rows_of(done, PRICES))
    put(db, entered)
    with pytest.raises(Crash):
        settling.settle(Crashing(db, 3), [done], entered)
    true_up.tick(db, at("2026-12-01 13:00"))
    assert spent(db, november) == Decimal("0.015")
    settling.settle(db, [done], entered)
    assert [spent(db, each) for each in (november, december)] == [Decimal("0.015")] * 2


def test_two_that_true_up_at_the_same_time_correct_a_budget_once(db, key, budget, meanwhile):
    budgets.used(db, budget)
    put(db, [row(utcnow(), key=key["_id"], tokens=(100_000, 0))])
    meanwhile.before("update", "budgets", lambda: true_up.tick(db))
    true_up.tick(meanwhile.db)
    assert spent(db, budget) == Decimal("0.015")


def test_a_job_is_settled_at_what_its_row_says_though_prices_have_changed_since(db, key, budget):
    _, (entered,) = done_with_rows(db, key, budget)
    ledger.insert(db, [{**entered, "cost": Decimal128("0.02")}])
    enter(db)
    assert (spent(db, budget), reserved(db, budget)) == (2 * CENT, 0)


def test_what_is_held_fits_until_the_budget_is_lowered_below_it(db, key, budget):
    job_of(db, key, budget, 5 * CENT)
    budgets.check(db, budget, 5 * CENT)
    with pytest.raises(OverLimit):
        budgets.check(db, replace(budget, usd=4 * CENT), 5 * CENT)
