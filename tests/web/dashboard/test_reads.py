"""What the pages read of the store: by indexes, and as little beside many jobs as beside few."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from pymongo import MongoClient

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


@pytest.fixture
def many_jobs(services, agent):
    """A day of jobs, the newest first; one of a hundred has failed."""
    now, jobs = utcnow(), []
    for n in range(JOBS):
        job = born(draft(workspace_id="default", agent_id=agent), new_id(), now - n * APART)
        status = "failed" if n % 100 == 0 else "succeeded"
        error = {"code": "internal", "detail": "no"} if status == "failed" else None
        jobs.append({**job, "status": status, "error": error})
    services.db.jobs.insert_many(jobs)


@pytest.fixture
def many_calls(services, agent):
    """What the ledger has of today: a call every minute, of which the scheduler computed what is over."""
    now = utcnow()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    at = [midnight + timedelta(minutes=n) for n in range(int((now - midnight) / timedelta(minutes=1)))]
    put(services.db, [row(moment, workspace="default", agent=agent) for moment in at])
    recent.tick(services.db, now)


@pytest.fixture
def examined(services, settings, browser):
    """How many documents of big collections a page examines: `examined("/jobs")`. Each by an index."""

    def of(path):
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
def test_a_page_examines_little_of_what_there_is(examined, many_jobs, path, most):
    assert examined(path) <= most


@pytest.mark.parametrize("path", ["/agents", "/usage", "/usage?period=day&by=key", "/providers?days=30"])
def test_what_was_used_today_is_not_counted_call_by_call(examined, many_calls, path):
    assert examined(path) <= 4 * 96 + 2 * 30


def test_in_another_time_zone_no_more_is_read(examined, many_calls):
    assert examined("/usage?period=day&tz=Asia/Kathmandu") <= 4 * 96 + 2 * 30


def test_a_list_that_found_none_among_the_newest_says_so_and_looks_further(browser, many_jobs, services):
    oldest = services.db.jobs.find_one(sort=[("created_at", 1)])
    services.db.jobs.update_one({"_id": oldest["_id"]}, {"$set": {"kind": "llm_test"}})
    page, looks = browser.page("/jobs?kind=llm_test"), 0
    while "None among those that were looked at" in page:
        older = re.search(r'href="([^"]+)" rel="next">Older', page)[1]
        page, looks = browser.page(html.unescape(older)), looks + 1
    assert looks > 1
    assert f'id="job-{oldest["_id"]}"' in page


@pytest.mark.parametrize("path", ["/", "/jobs"])
def test_a_first_visit_weighs_less_than_200_kb_with_everything(browser, many_jobs, path):
    waiting, weights = [path], {}
    while waiting:
        wanted = waiting.pop()
        answer = browser.get(wanted, headers={"Accept-Encoding": "gzip"})
        weights[wanted] = len(answer.data)
        if answer.mimetype in ("text/html", "text/css"):
            whole = browser.get(wanted).text
            waiting += {one or other for one, other in ASSET.findall(whole)} - weights.keys()
    assert len(weights) > 8
    assert sum(weights.values()) < 200_000
