"""Recent usage: an open day is the sum of its rows, whichever quarters were computed; few rows are read."""

import random
from datetime import timedelta

import pytest
from pymongo import MongoClient

from core.metering import recent, rollups, speeds, stacks, usage
from core.metering.periods import period
from tests.core.metering.rows import at, managed, put, row
from tests.core.metering.test_reads import Asked

NOW = at("2026-11-24 14:20")
MIDNIGHT = at("2026-11-24 00:00")
ZONES = ("UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati")


def entered(when, **more):
    """A row that came a second after its call."""
    made = random.Random(str(when)).choice([row, managed])(when, **{"tokens": (10, 5), **more})
    return {**made, "entered_at": when + timedelta(seconds=1), "first_token_ms": 100}


def some_rows(n=80):
    dice = random.Random(3)
    return [
        entered(
            MIDNIGHT + timedelta(minutes=dice.randrange(14 * 60 + 20)),
            tokens=(dice.randrange(500), 1),
            agent=f"a{dice.randrange(3)}",
            key=f"k{dice.randrange(2)}",
            kept=dice.random() > 0.1,
        )
        for _ in range(n)
    ]


def told(db, zone):
    """All that is asked of usage, in one piece that can be compared."""
    during = period(NOW, name="week", zone_name=zone)
    found = [usage.of_workspace(db, "w1", during), usage.of_agent(db, "w1", "a1", during)]
    names = ("agent_id", "provider", "model")
    fast = [speeds.fold(one.groups, lambda group: group["agent_id"]) for one in found]
    cut = {by: stacks.by_date(db, "w1", during.dates(), by) for by in stacks.FIELDS}
    return [(one.total(), one.by(*names), one.by_date) for one in found], fast, cut


@pytest.mark.parametrize("zone", ZONES)
def test_a_day_says_the_same_whether_its_quarters_were_computed_or_not(db, zone):
    rows = some_rows()
    put(db, rows[:50])
    db.usage_days.update_many({}, {"$set": {"quarters": False}})
    put(db, rows[50:])
    of_ledger = told(db, zone)
    db.usage_days.update_many({}, {"$set": {"quarters": True}})
    for limit in (0, 20, 1000):
        recent.tick(db, NOW, limit=limit)
        assert told(db, zone) == of_ledger
    assert of_ledger[0][0][0]["requests"] == sum(r["kept"] for r in rows)


def test_what_comes_into_a_quarter_that_was_computed_is_in_it_at_once(db):
    put(db, some_rows())
    recent.tick(db, NOW)
    before = usage.of_workspace(db, "w1", period(NOW, name="day")).total()["tokens_total"]
    put(db, [entered(MIDNIGHT + timedelta(minutes=3))])
    for _ in range(2):
        assert usage.of_workspace(db, "w1", period(NOW, name="day")).total()["tokens_total"] == before + 15
        recent.tick(db, NOW)


def test_a_quarter_that_rows_come_into_while_it_is_computed_stays_open(db):
    put(db, [entered(MIDNIGHT)])
    mark = db.usage_recent.find_one()
    put(db, [entered(MIDNIGHT + timedelta(seconds=5))])
    assert not recent.compute(db, mark)
    assert recent.compute(db, db.usage_recent.find_one())
    assert usage.of_workspace(db, "w1", period(NOW, name="day")).total()["requests"] == 2


def test_of_the_ledger_the_quarter_that_runs_is_read_and_no_other(db, settings):
    put(db, some_rows())
    put(db, [entered(NOW - timedelta(minutes=1))])
    recent.tick(db, NOW)
    asked = Asked()
    with MongoClient(settings.mongodb_address, tz_aware=True, event_listeners=[asked]) as watched:
        told(watched[db.name], "UTC")
    (wanted,) = {str(filter_): filter_ for name, filter_ in asked.filters if name == "token_usage"}.values()
    explained = db.token_usage.find(wanted).explain()
    assert explained["queryPlanner"]["winningPlan"]["inputStage"]["indexName"] == "by_time"
    running = {"timestamp": {"$gte": at("2026-11-24 14:15")}}
    assert explained["executionStats"]["totalDocsExamined"] == db.token_usage.count_documents(running)


@pytest.mark.parametrize("closed", [True, False])
def test_a_day_with_rows_that_came_days_late_or_that_was_closed_is_read_whole(db, closed):
    put(db, [entered(MIDNIGHT), entered(MIDNIGHT + timedelta(hours=2))])
    recent.tick(db, NOW)
    if closed:
        rollups.tick(db, NOW + timedelta(days=1))
    late = entered(MIDNIGHT + timedelta(hours=1))
    put(db, [late if closed else {**late, "entered_at": NOW + timedelta(days=2)}])
    db.usage_recent.delete_many({})
    assert usage.of_workspace(db, "w1", period(NOW, name="day")).total()["requests"] == 3


def test_quarters_go_when_nobody_reads_them_any_more(db):
    put(db, [entered(MIDNIGHT)])
    later = NOW + timedelta(days=5)
    assert recent.tick(db, later)["removed"] == 0
    rollups.tick(db, later)
    assert recent.tick(db, later)["removed"] == 1
    assert usage.of_workspace(db, "w1", period(NOW, name="day")).total()["requests"] == 1
