"""Usage: the pages say what the ledger says, in the viewer's days, and no other workspace's."""

import re
from decimal import Decimal

import pytest

from core.clock import utcnow
from core.ids import new_id
from core.metering import allowances, ledger, marks
from tests.core.metering.rows import managed, row
from web.dashboard.usage import chart


@pytest.fixture
def used(db, agent):
    """The workspace `default`, and another one's."""
    now = utcnow()
    rows = [
        row(now, workspace="default", agent=agent, model="gpt-4o", tokens=(70_000, 7_777)),
        row(now, workspace="default", agent=agent, key="k2"),
        row(now, workspace="other", tokens=(555_555, 1)),
        managed(now, (3_000_000, 0), workspace="default", agent=agent),
    ]
    for one in rows:
        one["job_id"] = one["_id"].split(":")[0]
    ledger.insert(db, rows)
    marks.raise_for(db, rows)
    allowances.tick(db, {"economy": 2_000_000})
    return rows


@pytest.mark.parametrize("by", ["model", "agent", "provider", "key", "nonsense"])
@pytest.mark.parametrize("show", ["cost", "tokens_total", "tokens_cached"])
def test_a_period_is_shown_whole_and_by_what_was_asked(browser, used, by, show):
    page = browser.page(f"/usage?by={by}&show={show}&period=week")
    assert "3,077,794" in page
    assert "555,5" not in page
    assert ("scout" in page) == (by == "agent")


def test_days_are_those_of_the_viewers_time_zone(browser, used):
    browser.client.set_cookie("vutler_tz", "Pacific/Kiritimati", path="/usage")
    page = browser.page("/usage?period=day")
    assert "Days are those of Pacific/Kiritimati" in page


def test_the_bars_of_few_calls_are_the_viewers_days_those_of_many_are_days_of_utc(browser, db, agent):
    used = row(utcnow(), workspace="default", agent=agent)
    ledger.insert(db, [used])
    marks.raise_for(db, [used])
    assert "In days of UTC" not in browser.page("/usage?tz=Asia/Tokyo")
    many = row(utcnow(), workspace="default", agent=agent) | {"requests": 6000}
    ledger.insert(db, [many])
    marks.raise_for(db, [many])
    assert "In days of UTC" in browser.page("/usage?tz=Asia/Tokyo")
    assert "In days of UTC" not in browser.page("/usage")


@pytest.mark.parametrize(
    "query", ["period=century", "from=yesterday", "tz=Mars/Olympus", "from=2026-02-02&to=2026-02-01"]
)
def test_days_that_do_not_exist_are_refused_in_words(browser, query):
    answer = browser.get(f"/usage?{query}")
    assert answer.status_code == 422
    assert "<h1>" in answer.text


def test_what_is_above_an_allowance_is_shown_with_its_job(browser, used, agent):
    page = browser.page("/usage/tiers")
    assert "1,000,000 tokens above its allowance" in page
    assert f'href="/jobs/{used[-1]["job_id"]}"' in page
    assert "scout: 1,000,000 tokens in 1 call" in page
    assert "Nothing was above an allowance" in browser.page("/usage/tiers?month=2026-01")


def test_a_statement_of_the_month_so_far_can_be_taken_away(browser, used):
    month = f"{utcnow():%Y-%m}"
    (path,) = re.findall(rf'href="(/usage/statements/{month}\.csv)"', browser.page("/usage/statements"))
    answer = browser.get(path)
    assert answer.content_type == "text/csv; charset=utf-8"
    assert "economy" in answer.text
    assert browser.get("/usage/statements/13.csv").status_code == 422


def test_the_rows_of_a_period_can_be_taken_away(browser, used):
    lines = browser.get("/usage/export.csv?period=day").text.splitlines()
    assert len(lines) == 1 + 3


def test_the_audit_shows_both_numbers_and_what_differs(browser, used, db):
    job, now = new_id(), utcnow()
    calls = [{"n": 0, "started_at": now, "usage": {"tokens_total": 4}}]
    ended = {"status": "succeeded", "attempt": 1, "created_at": now, "calls": calls}
    db.jobs.insert_one({"_id": job, "workspace_id": "default", **ended})
    page = browser.page("/usage/audit?period=day")
    assert "The two numbers differ" in page
    assert f"{job}:1:0" in page


def test_a_name_with_script_in_it_is_only_a_name(browser, used, db, agent):
    db.agents.update_one({"_id": agent}, {"$set": {"name": "<script>alert(1)</script>"}})
    for path in ("/usage?by=agent", "/usage/tiers"):
        page = browser.page(path)
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page


@pytest.mark.parametrize(
    ("most", "top"),
    [("67.99", 80), ("0.0013", Decimal("0.0015")), (151601475, 200_000_000), (1000, 1000), (0, 0)],
)
def test_the_scale_ends_with_a_number_that_is_easily_read(most, top):
    found = {"2026-11-01": {"m": {"cost": Decimal(most)}}}
    assert chart.stacked(["2026-11-01"], found, "cost").most == top
