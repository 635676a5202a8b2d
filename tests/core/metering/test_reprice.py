"""Reprice: shown first, entered as corrections, and never twice."""

import json
from datetime import date
from decimal import Decimal

import pytest

from core.metering import allowances, export, ledger, prices, reprice, rollups, usage
from core.metering.audit import audit
from core.metering.periods import period
from core.metering.prices import Prices
from core.metering.sums import exact
from tests.core.metering.rows import PRICES, at, managed, put, row

NOW = at("2026-11-24 12:00")
NOVEMBER = period(NOW, first=date(2026, 11, 1), last=date(2026, 11, 30))
OWN = {"input": Decimal(1), "output": Decimal(2)}


def dearer(db, model="of my own", **rates):
    prices.set_for_workspace(db, "w1", "openai", model, {**OWN, **rates}, "2026-11-24")


def again(db, *, apply=True, tables=PRICES):
    return reprice.reprice(db, "w1", NOVEMBER, tables, apply=apply)


def corrections(db):
    """What a run that reads the ledger now would enter."""
    found = list(db.token_usage.find({"workspace_id": "w1", "month": "2026-11"}))
    return list(reprice._differences(found, {}, PRICES, prices.of_workspace(db, "w1"), {}))


def total(db):
    while any(rollups.tick(db, NOW).values()):
        pass
    return usage.shown(usage.of_workspace(db, "w1", NOVEMBER).total())


@pytest.fixture
def rows(db):
    """Two calls of a model without a price, one of a known model, and one of another month."""
    unknown = {"model": "of my own", "tokens": (1000, 500)}
    rows = [
        row(at("2026-11-03 10:00"), **unknown),
        row(at("2026-11-24 10:00"), **unknown),
        row(at("2026-11-24 11:00")),
        row(at("2026-10-31 23:59"), **unknown),
    ]
    put(db, rows)
    return rows


def test_with_the_same_tables_there_is_no_difference(db, rows):
    assert again(db)["by_model"] == []
    assert db.token_usage.count_documents({}) == 4


def test_a_dry_run_shows_the_difference_and_writes_nothing(db, rows):
    dearer(db)
    (found,) = again(db, apply=False)["by_model"]
    assert (found["provider"], found["model"], found["calls"], found["priced_anew"]) == (
        "openai",
        "of my own",
        2,
        2,
    )
    assert (found["before"], found["after"], found["difference"]) == ("0", "0.004", "0.004")
    assert db.token_usage.count_documents({}) == 4


def test_an_unknown_price_becomes_known_and_nothing_else_changes(db, rows):
    ledger_before = list(db.token_usage.find())
    before = total(db)
    assert (before["cost_status"], before["requests_unpriced"]) == ("partial", 2)
    dearer(db)
    again(db)
    after = total(db)
    assert (after["cost"], after["cost_status"], after["requests_unpriced"]) == (0.0040048, "known", 0)
    counted = [name for name in before if name.startswith("tokens") or name in ("requests", "failed")]
    assert {name: after[name] for name in counted} == {name: before[name] for name in counted}
    assert list(db.token_usage.find({"corrects": None})) == ledger_before


def test_doing_it_again_changes_nothing(db, rows):
    dearer(db)
    again(db)
    before = list(db.token_usage.find())
    assert again(db)["by_model"] == []
    assert list(db.token_usage.find()) == before


def test_a_second_change_of_price_corrects_the_first(db, rows):
    dearer(db)
    again(db)
    dearer(db, input=Decimal("0.5"))
    (found,) = again(db)["by_model"]
    assert (found["before"], found["after"], found["priced_anew"]) == ("0.004", "0.003", 0)
    assert total(db)["cost"] == 0.0030048
    assert total(db)["requests_unpriced"] == 0


def test_a_price_that_is_no_longer_known_takes_nothing_away(db, rows):
    dearer(db)
    again(db)
    db.workspace_prices.delete_many({})
    (found,) = again(db)["by_model"]
    assert (found["calls"], found["no_longer_known"], found["difference"]) == (0, 2, "0")
    assert total(db)["cost"] == 0.0040048


def test_one_that_was_killed_before_its_marks_is_mended_by_the_next(db, rows):
    total(db)
    dearer(db)
    ledger.insert(db, corrections(db))  # and no further
    assert again(db)["by_model"] == []
    assert total(db)["cost"] == 0.0040048


def test_two_at_once_correct_once(db, rows):
    dearer(db)
    seen = corrections(db)  # what the other one is about to enter
    again(db)
    assert ledger.insert(db, seen) == 0
    assert total(db)["cost"] == 0.0040048


def test_calls_that_were_not_kept_stay_outside_the_bill(db):
    put(db, [row(NOW, model="of my own", kept=False)])
    dearer(db)
    again(db)
    assert db.token_usage.count_documents({"kept": False}) == 2
    assert total(db)["cost"] == 0


def test_overage_follows(db, tmp_path):
    over = managed(at("2026-11-02 10:00"), (2000, 0))
    put(db, [over])
    allowances.tick(db, {"economy": 1000}, NOW)
    ours = {"provider": "minimax", "model": "MiniMax-M2.5", "input": "600", "output": "1", "date": "x"}
    (tmp_path / "prices.json").write_text(json.dumps({"version": "next", "prices": [ours]}))
    again(db, tables=Prices(tmp_path / "prices.json"))
    allowances.tick(db, {"economy": 1000}, NOW)
    (found,) = db.managed_overage.find()
    assert (exact(found["cost"]), found["tokens_overage"]) == (Decimal("0.6"), 1000)


def test_the_audit_and_the_export_tell_corrections_from_calls(db, rows):
    dearer(db)
    again(db)
    assert audit(db, "w1", NOVEMBER, retained_since=at("2026-11-01 00:00"))["rows_of_deleted_jobs"] == 3
    fixes = [r for r in export.rows(db, "w1", NOVEMBER) if r["corrects"]]
    assert [(r["cost"], r["tokens_total"]) for r in fixes] == [("0.002", 0), ("0.002", 0)]


def test_a_write_to_the_cache_for_an_hour_keeps_its_price(db):
    usage = {"tokens_input": 9000, "tokens_output": 5, "tokens_total": 9005, "tokens_cache_write": 8000}
    put(
        db,
        [
            row(
                at("2026-11-24 11:00"),
                provider="anthropic",
                model="claude-sonnet-4-5",
                usage=usage,
                usage_raw={"cache_creation": {"ephemeral_1h_input_tokens": 8000}},
            )
        ],
    )
    assert again(db)["by_model"] == []


def test_a_call_of_the_first_moment_after_is_left_alone(db):
    dearer(db)
    put(db, [row(at("2026-12-01 00:00"), model="of my own", tokens=(1000, 500))])
    assert again(db)["by_model"] == []
