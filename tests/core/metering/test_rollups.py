"""Roll-ups: always what the ledger says, however often, late, or interrupted they are computed."""

import random
from collections import Counter
from datetime import timedelta

from core.metering import marks, rollups
from tests.core.metering.rows import at, managed, put, row

NOW = at("2026-11-24 12:00")


def tokens(documents):
    return sum(document["tokens_total"] for document in documents)


def some_rows(n, seed=1):
    dice = random.Random(seed)
    return [
        row(
            at("2026-10-20 00:00") + timedelta(minutes=dice.randrange(60 * 24 * 34)),
            agent=f"a{dice.randrange(3)}",
            tokens=(dice.randrange(1000), 1 + dice.randrange(1000)),
            model=dice.choice(["gpt-4o-mini", "gpt-4o", "of my own"]),
        )
        for _ in range(n)
    ]


def settle(db, now=NOW):
    while any(rollups.tick(db, now).values()):
        pass


def test_days_and_months_add_up_to_the_ledger(db):
    rows = some_rows(300)
    put(db, rows)
    settle(db)
    assert tokens(db.usage_daily.find()) == tokens(rows)
    assert tokens(db.usage_monthly.find()) == tokens(r for r in rows if r["month"] == "2026-10")
    by_day = Counter()
    for r in rows:
        by_day[r["date"]] += r["tokens_total"]
    assert {d["date"]: d["totals"]["tokens_total"] for d in db.usage_days.find()} == by_day
    exact = sum(r["cost"].to_decimal() for r in rows if r["cost"] is not None)
    assert sum(d["cost"].to_decimal() for d in db.usage_daily.find()) == exact
    assert sum(d["unpriced"] for d in db.usage_daily.find()) == sum(r["cost"] is None for r in rows)
    assert sum(d["cost"].to_decimal() for d in db.usage_keys.find()) == exact


def test_quarters_keep_the_time_of_day(db):
    put(
        db,
        [row(at("2026-11-01 23:59")), row(at("2026-11-01 00:14")), row(at("2026-11-01 00:15"), agent="a2")],
    )
    settle(db)
    day = {doc["agent_id"]: sorted(map(int, doc["quarters"])) for doc in db.usage_quarters.find()}
    assert day == {"a1": [0, 95], "a2": [1], "*": [0, 1, 95]}
    whole = db.usage_quarters.find_one({"agent_id": "*"})
    assert {part: sums["requests"] for part, sums in whole["parts"].items()} == {"0": 2, "7": 1}


def test_today_and_this_month_are_left_open(db):
    put(db, [row(NOW), row(at("2026-11-03 10:00"))])
    settle(db)
    assert {d["date"]: d["open"] for d in db.usage_days.find()} == {"2026-11-24": True, "2026-11-03": False}
    assert db.usage_months.find_one({})["open"] is True


def test_a_month_waits_for_the_last_of_its_days(db):
    put(db, [row(at(f"2026-10-0{day} 10:00")) for day in (1, 2, 3)])
    assert [rollups.tick(db, NOW, limit=1)["months"] for _ in range(3)] == [0, 0, 1]
    assert tokens(db.usage_monthly.find()) == 3 * 17


def test_computing_again_changes_nothing(db):
    put(db, some_rows(60))
    settle(db)
    before = list(db.usage_daily.find())
    for mark in list(db.usage_days.find()):
        rollups.day(db, mark)
    assert list(db.usage_daily.find()) == before


def test_a_late_row_opens_its_day_and_month_again(db):
    put(db, [row(at("2026-10-05 10:00"))])
    settle(db)
    put(db, [row(at("2026-10-05 11:00"), model="gpt-4o")])
    assert db.usage_days.find_one({})["open"] is True
    settle(db)
    assert tokens(db.usage_monthly.find()) == 34


def test_rows_that_come_in_while_a_day_is_computed_are_not_forgotten(db):
    put(db, [row(at("2026-10-05 10:00"))])
    mark = db.usage_days.find_one({})
    put(db, [row(at("2026-10-05 11:00"))])
    assert not rollups.day(db, mark)
    settle(db)
    assert tokens(db.usage_daily.find()) == 34


def test_a_computation_that_was_held_up_does_not_overwrite_a_later_one(db):
    put(db, [row(at("2026-10-05 10:00"))])
    scope = {"workspace_id": "w1", "date": "2026-10-05"}
    put(db, [row(at("2026-10-05 11:00"))])
    settle(db)
    (now,) = db.usage_daily.find()
    marks.set_all(db.usage_daily, scope, [{**now, "tokens_total": 17}], rev=1)
    marks.set_all(db.usage_daily, scope, [], rev=1)
    assert tokens(db.usage_daily.find()) == 34


def test_calls_that_were_not_kept_are_in_no_roll_up(db):
    put(db, [row(at("2026-10-05 10:00"), kept=False), row(at("2026-10-05 10:00"))])
    settle(db)
    assert tokens(db.usage_daily.find()) == 17


def test_managed_calls_mark_their_allowance(db):
    put(db, [managed(NOW, (3, 4)), row(NOW)])
    (mark,) = db.usage_allowances.find()
    assert (mark["_id"], mark["open"]) == ("a1:economy:2026-11", True)
