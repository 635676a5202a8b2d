"""Statements: issued once a month, the same from the same ledger, revised when something comes in late."""

import csv
import io
import random
from datetime import timedelta
from decimal import Decimal

import pytest

from core.errors import NotFound
from core.metering import allowances, rollups, statement, statements
from tests.core.metering.rows import at, managed, put, row

CLOSE = at("2026-11-01 01:00")
PRICES = {"economy": 5, "standard": 10}
LIMITS = {"economy": 1000, "standard": 1000}


def settle(db, now=CLOSE, limits=LIMITS):
    while any(rollups.tick(db, now).values()):
        pass
    allowances.tick(db, limits, now)


def tick(db, now=CLOSE, prices=PRICES):
    return statements.tick(db, prices, now)["statements"]


def compute(db, prices=PRICES):
    return statements.compute(db, "w1", "2026-10", prices)


def get(db, **more):
    return statements.get(db, "w1", "2026-10", PRICES, **more)


@pytest.fixture
def october(db):
    """Two agents on tiers, one of them over; one on its own key; a call of an unknown price."""
    rows = [
        managed(at("2026-10-02 10:00"), (700, 100)),
        managed(at("2026-10-20 10:00"), (1000, 200)),
        managed(at("2026-10-21 10:00"), (10, 5), tier="standard", agent="a2"),
        row(at("2026-10-31 23:59"), agent="a2"),
        row(at("2026-10-30 10:00"), agent="a2", model="of my own"),
    ]
    put(db, [*rows, row(CLOSE), row(at("2026-10-05 10:00"), workspace="w2")])
    settle(db)
    return rows


def test_what_is_due_is_tiers_and_overage(db, october):
    assert tick(db) == 2
    found = get(db)
    assert found["revision"] == 1
    (economy, standard) = found["tiers"]
    assert (economy["agent_id"], economy["price_usd"], economy["tokens_used"]) == ("a1", "5", 2000)
    assert (economy["tokens_overage"], economy["overage_calls"]) == (1000, 1)
    over = october[1]["cost"].to_decimal() * 1000 / 1200
    assert Decimal(economy["overage_usd"]) == over
    assert (standard["tier"], standard["tokens_overage"], standard["overage_usd"]) == ("standard", 0, "0")
    total = found["total"]
    assert (total["tiers_usd"], total["due_usd"], total["complete"]) == ("15", "15.00", True)
    assert total["requests"] == 5
    own = [line for line in found["usage"] if line["key_kind"] == "byokey"]
    assert {line["model"]: line["cost_usd"] for line in own} == {
        "gpt-4o-mini": "0.0000048",
        "of my own": None,
    }


def test_computing_it_again_gives_the_same_bytes(db, october):
    tick(db)
    kept = db.statements.find_one({"workspace_id": "w1"})["sha256"]
    rows = list(db.token_usage.find())
    for name in ("token_usage", "usage_days", "usage_daily", "usage_months", "usage_monthly"):
        db[name].delete_many({})
    random.Random(3).shuffle(rows)
    put(db, rows)
    settle(db)
    assert statement.digest(statement.encoded(compute(db))) == kept
    assert tick(db) == 0


def test_it_waits_until_everything_is_computed(db):
    put(db, [managed(at("2026-10-02 10:00"), (700, 100))])
    assert tick(db) == 0  # not rolled up
    rollups.tick(db, CLOSE)
    rollups.tick(db, CLOSE)
    assert tick(db) == 0  # its allowance is not computed
    settle(db)
    assert tick(db, CLOSE - timedelta(seconds=1)) == 0  # calls of the last minute may come in
    assert tick(db) == 1
    assert tick(db) == 0


def test_a_late_row_makes_a_new_revision_and_the_earlier_one_stays(db, october):
    tick(db)
    first = get(db)
    put(db, [managed(at("2026-10-25 10:00"), (1_000_000, 0))])
    assert tick(db) == 0
    settle(db)
    assert tick(db) == 1
    assert get(db)["revision"] == 2
    assert get(db)["total"]["due_usd"] == "15.30"
    assert get(db, revision=1) == first
    assert [one["revision"] for one in statements.listed(db, "w1")] == [2, 1]
    with pytest.raises(NotFound):
        get(db, revision=3)


def test_a_row_that_was_entered_twice_makes_no_revision(db, october):
    tick(db)
    put(db, october)
    settle(db)
    assert tick(db) == 0
    assert db.usage_months.find_one({"_id": "w1:2026-10"})["stated"] is True


def test_a_later_price_of_a_tier_does_not_change_what_was_stated(db, october):
    tick(db)
    put(db, [row(at("2026-10-25 10:00"))])
    settle(db, limits={"economy": 5})
    tick(db, prices={"economy": 99, "standard": 99})
    assert get(db)["revision"] == 2
    assert get(db)["total"]["tiers_usd"] == "15"
    assert get(db)["tiers"][0]["tokens_allowed"] == 1000


def test_rows_that_come_in_while_it_is_issued_are_not_forgotten(db, october):
    mark = db.usage_months.find_one({"_id": "w1:2026-10"})
    put(db, [row(at("2026-10-25 10:00"))])
    statements._issue(db, mark, PRICES, CLOSE)  # a leader that had read the mark before
    settle(db)
    tick(db)
    assert get(db)["total"]["requests"] == 6


def test_two_leaders_issue_one(db, october):
    body = statement.encoded(compute(db))
    assert statements._store(db, "w1", "2026-10", body, CLOSE)
    assert not statements._store(db, "w1", "2026-10", body, CLOSE)
    assert len(statements.listed(db, "w1")) == 1


def test_before_the_close_it_is_computed(db, october):
    found = get(db)
    assert (found["revision"], found["issued_at"]) == (None, None)
    assert found["total"]["requests"] == 5
    assert statements.get(db, "w1", "2020-01", PRICES)["total"]["due_usd"] == "0.00"


def test_overage_without_a_price_is_incomplete_not_zero(db):
    of_tier = {"key_kind": "managed", "tier": "economy", "model": "unheard of"}
    put(db, [row(at("2026-10-02 10:00"), tokens=(3000, 0), **of_tier)])
    settle(db)
    tick(db)
    (line,) = get(db)["tiers"]
    assert (line["overage_usd"], line["overage_calls_unpriced"]) == (None, 1)
    assert get(db)["total"]["complete"] is False


def test_of_overage_that_is_priced_in_part_the_known_part_is_due(db):
    over = {"key_kind": "managed", "tier": "economy", "tokens": (1_000_000, 0)}
    put(
        db,
        [
            managed(at("2026-10-02 10:00"), (1000, 0)),
            row(at("2026-10-03 10:00"), **over),
            row(at("2026-10-04 10:00"), **over, model="unheard of"),
        ],
    )
    settle(db)
    tick(db)
    (line,) = get(db)["tiers"]
    assert (line["overage_usd"], line["overage_calls"], line["overage_calls_unpriced"]) == ("0.15", 2, 1)
    total = get(db)["total"]
    assert (total["due_usd"], total["complete"]) == ("5.15", False)


@pytest.mark.parametrize(("price", "due"), [("0.125", "0.13"), ("0.124", "0.12")])
def test_half_a_cent_is_rounded_up(db, price, due):
    put(db, [managed(at("2026-10-02 10:00"), (700, 100))])
    settle(db)
    assert compute(db, {"economy": price})["total"]["due_usd"] == due


def test_the_csv_adds_up(db, october):
    put(db, [managed(at("2026-10-25 10:00"), (1_000_000, 0))])
    settle(db)
    tick(db)
    text = b"".join(statement.comma_separated(get(db))).decode()
    lines = list(csv.DictReader(io.StringIO(text)))
    due = [Decimal(one["amount_usd"]) for one in lines if one["due"] == "true" and one["line"] != "total"]
    assert [one["line"] for one in lines].count("tier") == 2
    assert round(sum(due), 2) == Decimal(lines[-1]["amount_usd"]) == Decimal("15.30")
    assert sum(int(one["requests"]) for one in lines if one["line"] == "usage") == 6


def test_what_comes_in_while_a_statement_is_issued_makes_a_revision(db, october, meanwhile):
    late = row(at("2026-10-31 23:58"), agent="a2")
    meanwhile.before("insert", "statements", lambda: put(db, [late]))
    statements.tick(meanwhile.db, PRICES, CLOSE)
    settle(db)
    tick(db)
    assert (get(db)["revision"], get(db)["total"]["requests"]) == (2, 6)


def test_a_statement_with_a_tier_whose_price_is_not_known_is_not_complete(db, october):
    assert compute(db)["total"]["complete"] is True
    assert compute(db, {"economy": 5})["total"]["complete"] is False
