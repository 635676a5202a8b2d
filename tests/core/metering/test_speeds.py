"""How fast models answered: quantiles that are as good by roll-ups as by the calls themselves."""

from __future__ import annotations

import math
import random
from datetime import date, timedelta

import pytest

from core.agents import agents
from core.metering import reports, rollups, speeds
from core.metering.periods import period
from core.sketch import STEP
from tests.core.metering.rows import PRICES, at, put, row

NOW = at("2026-11-24 12:00")
WITHIN = 0.03


def streamed(when, first, rate, **more):
    return row(when, first_token_ms=first, output_tokens_per_second=rate, **more)


def some_rows(n):
    dice = random.Random(1)
    return [
        streamed(
            at("2026-10-01 00:00") + timedelta(minutes=dice.randrange(60 * 24 * 54)),
            1 + int(dice.paretovariate(0.7) * 50),
            round(dice.lognormvariate(4, 1), 1),
        )
        for _ in range(n)
    ]


def settle(db):
    while any(rollups.tick(db, NOW).values()):
        pass


def summary(db, zone="UTC"):
    during = period(NOW, first=date(2026, 10, 1), zone_name=zone)
    return reports.summary(db, "w1", during)["by_model"]


def exact(values, part):
    """The value of the nearest rank."""
    return sorted(values)[-int(-part * len(values) // 1) - 1]


def test_medians_and_95th_percentiles_of_two_months_are_those_of_the_calls(db):
    rows = some_rows(400)
    put(db, rows)
    before = summary(db)
    settle(db)
    (model,) = summary(db)
    assert [model] == before, "read from the ledger, and from the roll-ups"
    for name in speeds.MEASURES:
        values = [r[name] for r in rows]
        assert model[name] == {
            "median": pytest.approx(exact(values, 0.5), rel=WITHIN),
            "p95": pytest.approx(exact(values, 0.95), rel=WITHIN),
        }


def test_each_model_has_its_own_and_an_agent_its_own(db):
    when = at("2026-10-02 10:00")
    put(db, [streamed(when, 100, 50.0), streamed(when, 900, 20.0, model="gpt-4o", agent="a2")])
    settle(db)
    slow, fast = sorted(summary(db), key=lambda one: one["model"])
    assert (slow["model"], slow["first_token_ms"]["median"]) == ("gpt-4o", pytest.approx(900, rel=WITHIN))
    assert (fast["model"], fast["first_token_ms"]["median"]) == (
        "gpt-4o-mini",
        pytest.approx(100, rel=WITHIN),
    )
    during = period(NOW, first=date(2026, 10, 1))
    found = reports.agent(db, agents.born("w1", "a2", {"name": "a"}) | {"_id": "a2"}, during, {}, NOW, PRICES)
    assert [one["model"] for one in found["by_model"]] == ["gpt-4o"]
    assert found["by_model"][0]["output_tokens_per_second"]["p95"] == pytest.approx(20, rel=WITHIN)


def test_calls_that_were_not_streamed_have_no_say(db):
    when = at("2026-10-02 10:00")
    put(db, [row(when), row(when), streamed(when, 100, None)])
    for _ in range(2):
        (model,) = summary(db)
        assert model["requests"] == 3
        assert model["first_token_ms"]["median"] == pytest.approx(100, rel=WITHIN)
        assert model["output_tokens_per_second"] is None
        settle(db)


def test_roll_ups_of_an_earlier_version_have_none(db):
    put(db, [streamed(at("2026-10-02 10:00"), 100, 50.0)])
    settle(db)
    for collection in (db.usage_daily, db.usage_monthly):
        collection.update_many({}, {"$unset": {"speeds": ""}})
    (model,) = summary(db)
    assert (model["requests"], model["first_token_ms"]) == (1, None)


def test_a_histogram_stays_small_however_many_calls_it_counts(db):
    when = at("2026-10-02 10:00")
    put(db, [streamed(when, 1 + n * n, 1.0 + n) for n in range(600)])
    settle(db)
    (day,) = db.usage_daily.find()
    assert all(len(counts) < 300 for counts in day["speeds"].values())
    assert sum(day["speeds"]["first_token_ms"].values()) == 600


def test_the_smallest_and_largest_times_have_a_place():
    for value in (1, 2, 600_000):
        counts = speeds.Counter({str(power(value)): 1})
        assert speeds.shown({"first_token_ms": counts})["first_token_ms"]["p95"] == pytest.approx(
            value, rel=WITHIN
        )


def power(value):
    return int(math.log(value) // math.log(STEP))
