"""Usage: the ledger's sums, whichever part of it comes from a roll-up, in every time zone."""

import random
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from core.errors import Invalid
from core.metering import rollups, usage
from core.metering.periods import period, stretches
from tests.core.metering.rows import at, managed, put, row

NOW = at("2026-11-24 12:00")
ZONES = (
    "UTC",
    "America/New_York",
    "Asia/Tokyo",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Kiritimati",
)
FIRST, LAST = date(2026, 9, 10), date(2026, 11, 24)


def some_rows(n=250):
    dice = random.Random(7)
    return [
        dice.choice([row, managed])(
            at("2026-08-20 00:00") + timedelta(minutes=dice.randrange(60 * 24 * 97)),
            tokens=(dice.randrange(500), 1 + dice.randrange(500)),
            agent=f"a{dice.randrange(3)}",
            workspace=dice.choice(["w1", "w1", "w2"]),
            kept=dice.random() > 0.1,
        )
        for _ in range(n)
    ]


@pytest.fixture(scope="module", params=["nothing", "some", "everything"])
def ledger(databases, request):
    """(database, rows in its ledger), of which nothing, some, or all that is over was rolled up."""
    db = databases.take()
    rows = [r for r in some_rows() if r["timestamp"] < NOW]
    for r in rows:
        r["agent_id"] += r["workspace_id"]  # an agent is of one workspace
    put(db, rows[:200])
    if request.param != "nothing":
        rollups.tick(db, NOW, limit=20 if request.param == "some" else 1000)
        rollups.tick(db, NOW, limit=0)
    put(db, rows[200:])
    if request.param == "everything":
        rollups.tick(db, NOW)
    yield db, rows
    databases.give_back(db)


def expected(rows, zone, **match):
    by_date = Counter()
    for r in rows:
        day = r["timestamp"].astimezone(zone).date()
        if r["kept"] and FIRST <= day <= LAST and all(r[name] == value for name, value in match.items()):
            by_date[str(day)] += r["tokens_total"]
    return by_date


def test_it_is_what_the_ledger_says_in_every_time_zone(ledger):
    db, rows = ledger
    for zone in ZONES:
        asked = period(NOW, first=FIRST, last=LAST, zone_name=zone)
        for found, match in (
            (usage.of_workspace(db, "w1", asked), {"workspace_id": "w1"}),
            (usage.of_agent(db, "w1", "a1w1", asked), {"agent_id": "a1w1"}),
        ):
            wanted = expected(rows, ZoneInfo(zone), **match)
            by_date = {day: s["tokens_total"] for day, s in found.by_date.items() if s["requests"]}
            assert by_date == wanted, zone
            assert found.total()["tokens_total"] == sum(wanted.values())
            assert sum(s["tokens_total"] for _, s in found.by("model")) == sum(wanted.values())
            assert list(found.by_date) == asked.dates()


def test_costs_are_exact(ledger):
    db, rows = ledger
    found = usage.of_workspace(db, "w1", period(NOW, first=FIRST, last=LAST))
    mine = [
        r
        for r in rows
        if r["workspace_id"] == "w1" and r["kept"] and r["timestamp"] >= at("2026-09-10 00:00")
    ]
    assert found.total()["cost"] == sum((r["cost"].to_decimal() for r in mine), Decimal(0))


def test_periods():
    assert period(NOW, name="day").dates() == ["2026-11-24"]
    assert period(NOW, name="week").dates()[0] == "2026-11-18"
    assert period(NOW, name="month").dates()[0] == "2026-11-01"
    assert period(at("2026-11-24 23:30"), name="day", zone_name="Asia/Tokyo").dates() == ["2026-11-25"]


def test_stretches_are_runs_without_a_gap():
    assert list(stretches([])) == []
    assert list(stretches(["2026-03-01", "2026-02-28", "2026-03-03"])) == [
        ("2026-02-28", "2026-03-01"),
        ("2026-03-03", "2026-03-03"),
    ]


@pytest.mark.parametrize(
    "asked",
    [
        {"zone_name": "Mars/Olympus"},
        {"zone_name": "localtime"},
        {"zone_name": "posix/Europe/Berlin"},
        {"zone_name": "../etc/passwd"},
        {"zone_name": ""},
        {"last": LAST},
        {"first": LAST, "last": FIRST},
        {"first": date(2025, 1, 1), "last": LAST},
        {"first": date(1, 1, 1), "last": date(1, 1, 2), "zone_name": "Asia/Tokyo"},
        {"first": date(9999, 12, 31), "last": date(9999, 12, 31)},
    ],
)
def test_periods_that_make_no_sense_are_refused(asked):
    with pytest.raises(Invalid):
        period(NOW, **asked)


def test_an_unknown_cost_is_shown_as_unknown_never_as_zero(db):
    put(db, [row(NOW, model="of my own"), row(NOW)])
    found = usage.of_workspace(db, "w1", period(NOW))
    by_model = {key["model"]: usage.shown(s) for key, s in found.by("model")}
    assert (by_model["of my own"]["cost"], by_model["of my own"]["cost_status"]) == (None, "unknown")
    assert by_model["gpt-4o-mini"]["cost_status"] == "known"
    assert (usage.shown(found.total())["cost_status"], usage.shown(found.total())["requests_unpriced"]) == (
        "partial",
        1,
    )
