"""The overview: tiles, charts, failures as links, and what needs somebody."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta
from decimal import Decimal

import pytest
from bson.decimal128 import Decimal128

from core import sketch
from core.clock import utcnow
from tests.factory import queued


@pytest.fixture
def past(services):
    """Two minutes of work: 9 jobs succeeded, one failed."""
    now = utcnow().replace(second=0, microsecond=0)
    for ago, failed in ((2, 0), (1, 1)):
        services.db.history_minutes.insert_one(
            {
                "_id": f"default:{ago}",
                "workspace_id": "default",
                "at": now - timedelta(minutes=ago),
                "accepted": 5,
                "succeeded": 5 - failed,
                "failed": failed,
                "cancelled": 0,
                "latency": sketch.of([200] * 5),
                "first_token": sketch.of([100]),
                "cost": Decimal128(Decimal("0.5")),
                "reasons": [{"name": "rate_limited", "n": 1}] * failed,
            }
        )


def tiles(page):
    found = re.findall(r'<span class="label">([^<]+)</span>\s*<strong>([^<]+)</strong>', page)
    return {label: html.unescape(value) for label, value in found}


def charts(page):
    found = re.findall(r"id=\"chart-(\w+)\" data-chart='([^']+)'", page)
    return {name: json.loads(html.unescape(data)) for name, data in found}


def test_the_tiles_say_how_it_goes(browser, past, services):
    queued(services.db, workspace_id="default")
    queued(services.db, workspace_id="other")
    page = browser.page("/")
    found = tiles(page)
    assert found["Jobs a minute"] == "2"
    assert "last 5 minutes; 10 accepted in an hour" in page
    assert found["Success rate"] == "90.0 %"
    assert found["Waiting"] == "1"
    assert found["Latency, 95 %"].endswith("ms")
    today = [point for point in services.db.history_minutes.find() if point["at"].date() == utcnow().date()]
    assert found["Cost today"] == f"${len(today) / 2:.2f}"


def test_last_month_counts_up_to_the_same_day(browser, services):
    today = utcnow().date()
    last = today.replace(day=1) - timedelta(days=1)
    for day, cost in ((last.replace(day=1), "2"), (last, "3")):
        totals = {"cost": Decimal128(Decimal(cost))}
        services.db.usage_days.insert_one({"workspace_id": "default", "date": str(day), "totals": totals})
    spent = 5 if last.day <= today.day else 2
    assert f"${spent}.00 by now last month" in browser.page("/")


@pytest.mark.parametrize(("span", "points"), [("hour", 60), ("day", 24)])
def test_the_charts_have_every_minute_or_hour(browser, past, span, points):
    drawn = charts(browser.page(f"/?span={span}"))
    assert set(drawn) == {"throughput", "latency"}
    for chart in drawn.values():
        assert len(chart["x"]) == points
        assert {len(one["values"]) for one in chart["series"]} == {points}
    succeeded, failed = (sum(one["values"]) for one in drawn["throughput"]["series"])
    assert (succeeded, failed) == (9, 1)


def test_failures_are_links_to_those_jobs(browser, past):
    assert "/jobs?status=failed&amp;code=rate_limited&amp;within=1h" in browser.page("/")


def test_an_empty_workspace_has_an_overview_too(browser):
    page = browser.page("/")
    assert "No failures" in page
    assert tiles(page)["Success rate"] == "–"


def test_another_workspaces_work_is_not_in_it(browser_for, past):
    assert tiles(browser_for("member", workspace="other").page("/"))["Jobs a minute"] == "0"


def test_what_is_wrong_with_the_installation_is_for_admins(browser_for, browser, services):
    services.db.ticks.insert_one({"_id": "meter", "error": "KeyError"})
    assert "The tick meter failed" in browser_for("admin").page("/")
    assert "The tick meter failed" not in browser.page("/")
