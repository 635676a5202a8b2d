"""Stacks: a day's parts add up to the day, whether it is closed or still open."""

from decimal import Decimal

import pytest

from core.metering import ledger, marks, rollups, stacks, usage
from core.metering.periods import of_month, period
from tests.core.metering.rows import at, row

DATES = ["2026-03-01", "2026-03-02", "2026-03-03"]


@pytest.fixture
def used(db):
    """Three days; the last one is still open."""
    rows = [
        row(at("2026-03-01 10:00"), model="gpt-4o", key="k1", agent="a1"),
        row(at("2026-03-01 11:00"), model="gpt-4o-mini", key="k2", agent="a1"),
        row(at("2026-03-01 12:00"), model="gpt-4o", key="k2", agent="a2", tokens=(100, 0)),
        row(at("2026-03-01 12:00"), model="gpt-4o", key="k2", agent="a2", kept=False),
        row(at("2026-03-02 10:00"), workspace="w2"),
        row(at("2026-03-03 10:00"), model="gpt-4o", key="k1", agent="a1", tokens=(7, 3)),
    ]
    ledger.insert(db, rows)
    marks.raise_for(db, rows)
    rollups.tick(db, at("2026-03-03 12:00"))


@pytest.mark.parametrize(
    ("by", "first", "last"),
    [
        ("model", {"gpt-4o": 117, "gpt-4o-mini": 17}, {"gpt-4o": 10}),
        ("agent", {"a1": 34, "a2": 100}, {"a1": 10}),
        ("provider", {"openai": 134}, {"openai": 10}),
        ("key", {"k1": 17, "k2": 117}, {"k1": 10}),
    ],
)
def test_a_day_is_cut_by_what_was_asked(db, used, by, first, last):
    found = stacks.by_date(db, "w1", DATES, by)
    tokens = {day: {name: of["tokens_total"] for name, of in names.items()} for day, names in found.items()}
    assert tokens == {"2026-03-01": first, "2026-03-03": last}


@pytest.mark.parametrize("by", stacks.FIELDS)
def test_the_parts_add_up_to_the_usage_of_the_same_days(db, used, by):
    found = stacks.by_date(db, "w1", of_month("2026-03").dates(), by)
    parts = [of for names in found.values() for of in names.values()]
    whole = usage.of_workspace(db, "w1", of_month("2026-03")).total()
    assert sum(of["tokens_total"] for of in parts) == whole["tokens_total"] == 144
    assert sum((of["cost"] for of in parts), Decimal(0)) == whole["cost"]


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/New_York", "UTC"])
@pytest.mark.parametrize("by", stacks.FIELDS)
def test_the_days_of_a_time_zone_add_up_to_its_own_usage(db, used, zone, by):
    ledger.insert(db, late := [row(at("2026-03-01 23:59"), key="k3"), row(at("2026-03-04 03:30"), key="k3")])
    marks.raise_for(db, late)
    asked = period(at("2026-03-03 12:00"), zone_name=zone)
    found = stacks.by_local_date(db, "w1", asked, by)
    whole = usage.of_workspace(db, "w1", asked).by_date
    tokens = {day: sum(of["tokens_total"] for of in names.values()) for day, names in found.items()}
    assert tokens == {day: of["tokens_total"] for day, of in whole.items() if of["requests"]}
    assert len(tokens) >= 2
