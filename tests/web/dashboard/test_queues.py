"""Queues and workers: what waits and for whom, who works, pausing, and jobs that lost their workers."""

from __future__ import annotations

import re

import pytest

from core.clock import utcnow
from core.history import rollups
from core.jobs import lease
from core.jobs.claim import claim, finish
from tests.factory import queued

LOST = [{"attempt": n, "owner": f"p{n}", "lost_at": utcnow()} for n in range(3)]


@pytest.fixture
def worker(services):
    """A process that carries out jobs."""
    return lease.register(services.db, role="chat", host="h1", queues=["chat"], slots=8, version="0.1.7")


@pytest.fixture
def quarantined(services, agent):
    """The id of a job that lost three workers."""
    job = queued(services.db, workspace_id="default", agent_id=agent)
    taken = claim(services.db, job["_id"], "p3")
    services.db.jobs.update_one({"_id": job["_id"]}, {"$set": {"lost": LOST}})
    finish(services.db, taken, status="failed", calls=[], error={"code": "quarantined", "detail": "3 lost"})
    return job["_id"]


def row(page, name):
    """The text of a row of a table, its cells."""
    found = next(found for found in re.findall(r"<tr>.*?</tr>", page, re.DOTALL) if f">{name}" in found)
    return [
        " ".join(re.sub(r"<[^>]+>", " ", cell).split())
        for cell in re.findall(r"<td.*?</td>", found, re.DOTALL)
    ]


def test_each_queue_says_how_deep_it_is_and_how_fast(browser, services, worker, agent):
    jobs = [queued(services.db, workspace_id="default", agent_id=agent) for _ in range(3)]
    claim(services.db, jobs[0]["_id"], worker)
    at = utcnow().replace(second=0, microsecond=0) - rollups.MINUTE
    rollups.write(services.db.history_queues, "queue", {("chat", at): {"finished": 10}}, rollups.MINUTES_KEPT)
    cells = row(browser.page("/queues"), "chat")
    assert (cells[1], cells[2], cells[4], cells[5]) == ("active", "2", "1", "2")
    assert row(browser.page("/queues"), "isolation")[1] == "stopped"


def test_an_admin_sees_who_waits_and_who_works(browser_for, services, worker, agent):
    admin, other = browser_for("admin"), browser_for("member", workspace="other")
    foreign = queued(services.db, workspace_id="other")
    mine = queued(services.db, workspace_id="default", agent_id=agent)
    done = queued(services.db, workspace_id="default", agent_id=agent)
    claim(services.db, foreign["_id"], worker)
    claim(services.db, mine["_id"], worker)
    for _ in range(2):
        queued(services.db, workspace_id="other")
    lease.renew(services.db, worker, last_jobs=[done["_id"]], memory_bytes=123_000_000)
    page = admin.page("/queues")
    assert row(page, "Other")[2] == "2"
    assert "2 of 8" in page
    assert "123 MB" in page
    assert "0.1.7" in page
    for job in (mine, done):
        assert f'href="/jobs/{job["_id"]}"' in page
    assert f'href="/jobs/{foreign["_id"]}"' not in page
    assert foreign["_id"][-8:] in page
    seen = other.page("/queues")
    assert "0.1.7" not in seen
    assert "Default" not in seen


@pytest.mark.parametrize("role", ["member", "viewer"])
def test_whose_jobs_wait_is_told_to_admins_alone(browser_for, services, role):
    for workspace in ("default", "other"):
        queued(services.db, workspace_id=workspace)
    seen = browser_for(role, workspace="default").page("/queues")
    assert row(seen, "chat")[2] == "2"
    assert "Who waits" not in seen
    assert "other" not in seen.lower()


def test_a_process_that_ended_is_told_from_one_that_died(browser_for, services, worker):
    gone = lease.register(services.db, role="chat", host="h2", queues=["chat"], slots=8, version="0.1.7")
    lease.retire(services.db, gone)
    lease.declare_dead(services.db, worker, 0)
    page = browser_for("admin").page("/queues")
    assert 'class="state stopped"' in page
    assert 'class="state dead"' in page
    assert "No worker runs" in page


def test_an_admin_pauses_a_queue_and_resumes_it(browser_for, services, worker):
    admin = browser_for("admin")
    assert admin.submit("/queues/chat/pause").status_code == 303
    page = admin.page("/queues")
    assert row(page, "chat")[1] == "paused"
    assert "no worker takes one" in page
    assert admin.submit("/queues/chat/resume").status_code == 303
    assert row(admin.page("/queues"), "chat")[1] == "active"
    assert admin.submit("/queues/none/pause").status_code == 404


def test_a_member_pauses_nothing_and_is_shown_no_button(browser, services):
    assert browser.submit("/queues/chat/pause").status_code == 403
    assert services.db.queues.count_documents({"paused": True}) == 0
    assert "/pause" not in browser.page("/queues")


def test_a_quarantined_job_is_requeued_once(browser, quarantined, services):
    assert quarantined in browser.page("/queues/isolation")
    for _ in range(2):
        assert browser.submit(f"/queues/isolation/{quarantined}/requeue").status_code == 303
    (again,) = services.db.jobs.find({"retry_of": quarantined})
    page = browser.page("/queues/isolation")
    assert f'href="/jobs/{again["_id"]}"' in page
    assert "/requeue" not in page


def test_a_quarantined_job_is_discarded(browser, quarantined, services):
    assert browser.submit(f"/queues/isolation/{quarantined}/discard").status_code == 303
    assert quarantined not in browser.page("/queues/isolation")
    assert services.db.jobs.find_one({"_id": quarantined})["request"] is None


def test_a_job_in_isolation_is_discarded_by_cancelling_it(browser, services, agent):
    job = queued(services.db, workspace_id="default", agent_id=agent)["_id"]
    services.db.jobs.update_one({"_id": job}, {"$set": {"queue": "isolation", "lost": LOST[:2]}})
    assert row(browser.page("/queues/isolation"), "chat")[3] == "2"
    assert browser.submit(f"/queues/isolation/{job}/discard").status_code == 303
    assert services.db.jobs.find_one({"_id": job})["status"] == "cancelled"


def test_jobs_of_another_workspace_are_not_there(browser_for, quarantined):
    other = browser_for("member", workspace="other")
    assert quarantined not in other.page("/queues/isolation")
    for what in ("requeue", "discard"):
        assert other.submit(f"/queues/isolation/{quarantined}/{what}").status_code == 404
