"""What the pages read of the store: by indexes, and as little beside many jobs as beside few."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from pymongo import MongoClient

from core.agents import agents
from core.clock import utcnow
from core.ids import new_id
from core.jobs.model import born
from core.metering import recent
from tests.core.metering.rows import put, row
from tests.core.metering.test_reads import Asked
from tests.factory import draft

ASSET = re.compile(r"(?:href|src)=\"(/static/[^\"#]+)|url\(\"(/static/[^\"]+)\"\)")
JOBS, APART = 4000, timedelta(seconds=20)
SMALL = frozenset({"agents", "keys", "ticks", "workspaces", "processes", "queues", "sessions", "deliveries"})
"""Collections that do not grow with the work, or of which an index gives few."""


@pytest.fixture(scope="module")
def filled(databases):
    """What all tests here read, and none of them changes: a workspace with many jobs, one with many calls."""
    database, now = databases.take(), utcnow()
    database.agents.insert_many([agents.born(name, name, {"name": name}) for name in ("busy", "spent")])
    database.jobs.insert_many(many_jobs(now))
    put(database, many_calls(now))
    recent.tick(database, now)
    yield database
    databases.give_back(database)


def many_jobs(now):
    """A day of them, the newest first; one of a hundred has failed, and the oldest tests a provider."""
    for n in range(JOBS):
        job = born(draft(workspace_id="busy", agent_id="busy"), new_id(), now - n * APART)
        status = "failed" if n % 100 == 0 else "succeeded"
        error = {"code": "internal", "detail": "no"} if status == "failed" else None
        kind = "llm_test" if n == JOBS - 1 else "chat"
        yield {**job, "status": status, "error": error, "kind": kind}


def many_calls(now):
    """Rows of the ledger of today: a call every minute."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    at = [midnight + timedelta(minutes=n) for n in range(int((now - midnight) / timedelta(minutes=1)))]
    return [row(moment, workspace="spent", agent="spent") for moment in at]


@pytest.fixture
def db(filled):
    """Its keys alone are the test's own."""
    yield filled
    filled["keys"].delete_many({})


@pytest.fixture
def busy(browser_for):
    return browser_for("member", workspace="busy")


@pytest.fixture
def spent(browser_for):
    return browser_for("member", workspace="spent")


@pytest.fixture
def examined(services, settings):
    """How many documents of big collections a page examines, each by an index."""

    def of(browser, path):
        asked, before = Asked(), services.mongo
        with MongoClient(settings.mongodb_address, tz_aware=True, event_listeners=[asked]) as watched:
            services.mongo = watched
            try:
                browser.page(path)
            finally:
                services.mongo = before
        found = [plan(name, wanted) for name, wanted in asked.filters if name not in SMALL]
        assert found, asked.filters
        return sum(found)

    def plan(name, wanted):
        told = services.db[name].find(wanted).explain()
        assert "COLLSCAN" not in str(told["queryPlanner"]["winningPlan"]), (name, wanted)
        return told["executionStats"]["totalDocsExamined"]

    return of


@pytest.mark.parametrize(
    ("path", "most"),
    # What no index knows is looked for in windows that hold some hundreds more or less, as it happens.
    [
        ("/", 250),
        ("/?span=day", 250),
        ("/jobs", 300),
        ("/jobs?within=1h", 300),
        ("/jobs?status=running", 10),
        ("/jobs?status=failed", 3000),
        ("/jobs?q=none", 3000),
        ("/queues/isolation", 100),
    ],
)
def test_a_page_examines_little_of_what_there_is(examined, busy, path, most):
    assert examined(busy, path) <= most


@pytest.mark.parametrize("path", ["/agents", "/usage", "/usage?period=day&by=key", "/providers?days=30"])
def test_what_was_used_today_is_not_counted_call_by_call(examined, spent, path):
    assert examined(spent, path) <= 4 * 96 + 2 * 30


def test_in_another_time_zone_no_more_is_read(examined, spent):
    assert examined(spent, "/usage?period=day&tz=Asia/Kathmandu") <= 4 * 96 + 2 * 30


def test_a_list_that_found_none_among_the_newest_says_so_and_looks_further(busy, db):
    oldest = db.jobs.find_one(sort=[("created_at", 1)])
    page, looks = busy.page("/jobs?kind=llm_test"), 0
    while "None among those that were looked at" in page:
        older = re.search(r'href="([^"]+)" rel="next">Older', page)[1]
        page, looks = busy.page(html.unescape(older)), looks + 1
    assert looks > 1
    assert f'id="job-{oldest["_id"]}"' in page


@pytest.mark.parametrize("path", ["/", "/jobs"])
def test_a_first_visit_weighs_less_than_200_kb_with_everything(busy, path):
    waiting, weights = [path], {}
    while waiting:
        wanted = waiting.pop()
        answer = busy.get(wanted, headers={"Accept-Encoding": "gzip"})
        weights[wanted] = len(answer.data)
        if answer.mimetype in ("text/html", "text/css"):
            whole = busy.get(wanted).text
            waiting += {one or other for one, other in ASSET.findall(whole)} - weights.keys()
    assert len(weights) > 8
    assert sum(weights.values()) < 200_000
