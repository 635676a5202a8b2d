"""Overage: allowance used + overage = ledger, always; whatever order, repetition or crash."""

import random
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings, strategies
from structlog.testing import capture_logs

from core.metering import allowances, ledger, marks, overage, rollups
from core.metering.sums import exact
from tests.core.metering.rows import at, managed, put, row

NOW = at("2026-11-24 12:00")
LIMITS = {"economy": 1000}


def on(day, hour, tokens, **more):
    return managed(at(f"2026-11-{day:02} {hour:02}:00"), (tokens - tokens // 3, tokens // 3), **more)


def tick(db, now=NOW, limits=LIMITS):
    return allowances.tick(db, limits, now)


def overages(db):
    return {r["_id"]: r["tokens_overage"] for r in db.managed_overage.find()}


def test_below_the_limit_there_is_no_overage(db):
    put(db, [on(1, 1, 999), on(2, 1, 1)])
    tick(db)
    state = db.usage_allowances.find_one({})
    assert (state["used"], state["overage"], state["open"]) == (1000, 0, False)
    assert overages(db) == {}


def test_the_call_that_straddles_the_limit_is_split(db):
    rows = [on(1, 1, 900), on(2, 1, 400), on(3, 1, 50)]
    put(db, rows)
    tick(db)
    assert overages(db) == {rows[1]["_id"]: 300, rows[2]["_id"]: 50}
    split = db.managed_overage.find_one({"_id": rows[1]["_id"]})
    assert split["cost"].to_decimal() == rows[1]["cost"].to_decimal() * 300 / 400
    whole = db.managed_overage.find_one({"_id": rows[2]["_id"]})
    assert whole["cost"] == rows[2]["cost"]


def test_a_late_row_moves_the_limit_and_stale_overage_goes(db):
    rows = [on(1, 1, 900), on(5, 1, 100), on(6, 1, 100)]
    put(db, rows)
    tick(db)
    assert overages(db) == {rows[2]["_id"]: 100}
    late = on(2, 1, 50)
    put(db, [late])
    tick(db)
    assert overages(db) == {rows[1]["_id"]: 50, rows[2]["_id"]: 100}
    tick(db, limits={"economy": 5000})
    marks.raise_for(db, rows)
    tick(db, limits={"economy": 5000})
    assert overages(db) == {}


def test_other_tiers_months_agents_and_own_keys_do_not_count(db):
    put(
        db,
        [
            on(1, 1, 900),
            on(1, 2, 900, tier="premium"),
            on(1, 3, 900, agent="a2"),
            row(at("2026-11-01 04:00")),
        ],
    )
    put(db, [managed(at("2026-10-31 23:59"), (900, 0))])
    tick(db, limits={"economy": 1000, "premium": 1000})
    assert overages(db) == {}


def test_a_month_that_is_over_keeps_the_allowance_it_had(db):
    put(db, [on(1, 1, 900)])
    tick(db)
    put(db, [on(1, 2, 900)])
    tick(db, at("2026-12-02 00:00"), {"economy": 10})
    assert sum(overages(db).values()) == 800


def test_closed_days_are_taken_from_their_roll_up(db):
    rows = [on(1, 1, 900), on(2, 1, 400)]
    put(db, rows)
    rollups.tick(db, NOW)
    put(db, [on(24, 1, 10)])
    tick(db)
    assert sum(overages(db).values()) == 310


def test_the_log_says_it_once_a_threshold(db):
    put(db, [on(1, 1, 850)])
    with capture_logs() as logs:
        tick(db)
        put(db, [on(2, 1, 200)])
        tick(db)
        put(db, [on(3, 1, 1)])
        tick(db)
        put(db, [on(3, 2, 200), on(3, 3, 200)])
        tick(db)
    assert [entry["event"] for entry in logs] == [
        "Managed LLM fair-use at 80 % for agent a1: 850/1k tokens",
        "Managed LLM fair-use exceeded for agent a1: 1.1k/1k tokens",
        "Managed LLM fair-use exceeded for agent a1: 1.5k/1k tokens",
    ]


def test_the_log_line_is_the_missions():
    assert (allowances._short(2_100_000), allowances._short(2_000_000)) == ("2.1M", "2M")


def test_the_workspace_is_alerted_once_a_threshold_and_month(db):
    db.workspaces.insert_one({"_id": "w1", "alert_url": "https://example.com/alerts"})
    put(db, [on(1, 1, 1250)])
    tick(db)
    db.usage_allowances.update_many({}, {"$unset": {"told": ""}, "$set": {"open": True}})  # as after a crash
    tick(db)
    told = sorted(db.deliveries.find(), key=lambda d: d["payload"]["threshold_percent"])
    assert [d["payload"]["threshold_percent"] for d in told] == [80, 100, 120]
    assert told[0]["payload"]["tokens_used"] == 1250
    assert {d["state"] for d in told} == {"due"}


@pytest.mark.parametrize("cost", [Decimal("0.000123"), None])
def test_a_correction_changes_the_cost_of_its_calls_overage(cost):
    over = on(1, 1, 2000)
    over = {**over, "cost": cost}
    fix = {**over, "_id": "fix", "corrects": over["_id"], "tokens_total": 0, "cost": Decimal("0.01")}
    (found,) = overage.project(1000, [over, fix]).rows
    assert found["cost"] == (exact(cost) + Decimal("0.01")) / 2


def test_an_unknown_cost_stays_unknown():
    (found,) = overage.project(1000, [{**on(1, 1, 2000), "cost": None}]).rows
    assert found["cost"] is None


def calls(days, most):
    one = strategies.tuples(
        strategies.integers(1, days),
        strategies.integers(0, 23),
        strategies.integers(1, 700),
        strategies.booleans(),
    )
    return strategies.lists(one, max_size=most)


@given(calls=calls(24, 40), limit=strategies.integers(0, 3000), seed=strategies.integers(0, 2**32))
def test_allowance_used_and_overage_are_the_ledger(calls, limit, seed):
    rows = [on(day, hour, tokens, kept=kept) for day, hour, tokens, kept in calls]
    total = sum(r["tokens_total"] for r in rows if r["kept"])
    found = overage.project(limit, rows)
    assert found.within == min(total, limit)
    assert found.within + found.above == total
    assert sum(r["tokens_overage"] for r in found.rows) == found.above
    assert all(0 < r["tokens_overage"] <= r["tokens_total"] for r in found.rows)
    shuffled = rows + rows[: len(rows) // 2]
    random.Random(seed).shuffle(shuffled)
    assert overage.project(limit, shuffled) == found


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=calls(4, 12), limit=strategies.integers(0, 3000), data=strategies.data())
def test_it_holds_through_crashes_duplicates_and_late_rows_in_the_store(db, calls, limit, data):
    for name in (
        "token_usage",
        "usage_days",
        "usage_months",
        "usage_allowances",
        "usage_daily",
        "managed_overage",
    ):
        db[name].delete_many({})
    rows = [on(day, hour, tokens, kept=kept) for day, hour, tokens, kept in calls]
    todo = data.draw(strategies.permutations(rows))
    while todo:
        batch = todo[: data.draw(strategies.integers(1, 6))]
        step = data.draw(strategies.sampled_from(["on", "crash", "repeat", "compute", "roll up"]))
        ledger.insert(db, batch)
        if step == "crash":  # killed between the insert and the marks: the jobs still wait, all is done again
            ledger.insert(db, batch)
        marks.raise_for(db, batch)
        if step == "repeat":
            put(db, batch)
        todo = todo[len(batch) :]
        if step == "roll up":
            rollups.tick(db, NOW)
        if step == "compute":
            stale = list(db.usage_allowances.find())
            tick(db, limits={"economy": limit})
            for mark in stale:  # a leader that was held up does it late, with what it had read
                allowances.recompute(db, {**mark, "told": [80, 100, 120]}, {"economy": limit}, NOW)
    tick(db, limits={"economy": limit})
    total = sum(r["tokens_total"] for r in rows if r["kept"])
    assert sum(overages(db).values()) == max(0, total - limit)
    if total:
        state = db.usage_allowances.find_one({})
        assert (state["used"], state["overage"]) == (total, max(0, total - limit))
    assert overages(db) == {r["_id"]: r["tokens_overage"] for r in overage.project(limit, rows).rows}
