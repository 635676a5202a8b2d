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
from tests.core.metering.test_reads import Asked
from tests.factory import draft

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
def examined(services, settings, browser, many_jobs):
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
        assert any(name == "jobs" for name, _ in asked.filters) or path == "/"
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
    ],
)
def test_a_page_examines_little_of_what_there_is(examined, path, most):
    assert examined(path) <= most


def test_a_list_that_found_none_among_the_newest_says_so_and_looks_further(browser, many_jobs, services):
    oldest = services.db.jobs.find_one(sort=[("created_at", 1)])
    services.db.jobs.update_one({"_id": oldest["_id"]}, {"$set": {"kind": "llm_test"}})
    page, looks = browser.page("/jobs?kind=llm_test"), 0
    while "None among those that were looked at" in page:
        older = re.search(r'href="([^"]+)" rel="next">Older', page)[1]
        page, looks = browser.page(html.unescape(older)), looks + 1
    assert looks > 1
    assert f'id="job-{oldest["_id"]}"' in page
