"""Jobs: the list with its filters, a job's page, and what is done to one job or many."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from core.clock import utcnow
from core.jobs.claim import claim, finish
from core.jobs.events import Emitter
from tests.factory import CALL, queued

SCRIPT = "<script>alert(1)</script>"
ERROR = {"type": "/problems/rate-limited", "title": "Too many", "detail": "try later", "code": "rate_limited"}


@pytest.fixture
def job_of(services, agent):
    """A job of the agent in this state: `job_of("failed")`."""

    def make(status="queued", *, said="Hello.", error=None, calls=None, **changes):
        job = queued(services.db, workspace_id="default", agent_id=agent, **changes)
        if status == "queued":
            return job["_id"]
        if status == "cancelled":
            services.db.jobs.update_one({"_id": job["_id"]}, {"$set": {"status": status}})
            return job["_id"]
        taken = claim(services.db, job["_id"], "p1")
        if status != "running":
            result = {"message": {"role": "assistant", "content": said}, "cost": 0.0042}
            made = {"result": result} if status == "succeeded" else {"error": error or ERROR}
            begun = [{**one, "started_at": utcnow()} for one in calls or []]
            finish(services.db, taken, status=status, calls=begun, **made)
        return job["_id"]

    return make


def listed(page):
    return re.findall(r'<tr id="job-([\w-]+)"', page)


def call(**changes):
    return {**CALL, "possibly_charged": False, "detail": None, **changes}


def test_the_list_has_the_workspaces_jobs_newest_first(browser, job_of, services):
    first, second = job_of(), job_of("failed")
    queued(services.db, workspace_id="other")
    page = browser.page("/jobs")
    assert listed(page) == [second, first]
    assert "try later" in page


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ("status=failed", "failed"),
        ("kind=llm_test", "test"),
        ("agent=scout&status=queued&kind=chat", "queued"),
        ("key=k9", "by_key"),
        ("provider=anthropic", "asked"),
        ("code=overloaded", "asked"),
        ("q=overloaded", "asked"),
        ("priority=background", "later"),
        ("priority=interactive&status=failed&code=rate_limited", "failed"),
        ("q=r-77", "by_key"),
    ],
)
def test_each_filter_shows_what_it_names(browser, job_of, filters, found):
    jobs = {
        "queued": job_of(),
        "failed": job_of("failed"),
        "test": job_of(kind="llm_test"),
        "later": job_of("cancelled", background=True),
        "by_key": job_of("succeeded", created_by="k9", request_id="r-77"),
        "asked": job_of(
            "cancelled" if filters == "status=failed" else "failed",
            error={**ERROR, "code": "overloaded"},
            calls=[call(provider="anthropic", outcome="overloaded")],
        ),
    }
    assert listed(browser.page(f"/jobs?{filters}")) == [jobs[found]]


def test_a_job_of_a_kind_that_this_version_does_not_know_has_its_page(browser, job_of, services):
    job = job_of("failed")
    services.db.jobs.update_one({"_id": job}, {"$set": {"kind": "of_tomorrow"}})
    assert "Of tomorrow" in browser.page(f"/jobs/{job}")


def test_the_time_is_a_filter(browser, job_of, services):
    old, new = job_of(), job_of()
    services.db.jobs.update_one({"_id": old}, {"$set": {"created_at": utcnow() - timedelta(hours=2)}})
    assert listed(browser.page("/jobs?within=1h")) == [new]
    assert listed(browser.page("/jobs?within=24h")) == [new, old]


def test_filters_stay_in_the_address_of_older_pages(browser, job_of):
    jobs = [job_of("failed") for _ in range(51)]
    page = browser.page("/jobs?status=failed")
    assert len(listed(page)) == 50
    older = re.search(r'href="(/jobs\?[^"]*cursor=[^"]*)"', page)[1].replace("&amp;", "&")
    assert "status=failed" in older
    assert listed(browser.page(older)) == jobs[:1]


@pytest.mark.parametrize("filters", ["status=odd", "within=1y", "q=" + "a" * 201, "cursor=x"])
def test_a_filter_that_cannot_be_is_refused_in_words(browser, filters):
    answer = browser.get(f"/jobs?{filters}")
    assert answer.status_code == 422
    assert answer.content_type.startswith("text/html")


def test_the_search_for_an_id_leads_to_the_job(browser, job_of):
    job = job_of()
    assert browser.get(f"/jobs?q={job}").location == f"/jobs/{job}"


def test_the_filters_are_completed_to_agents_and_keys(browser, agent):
    page = browser.page("/jobs/names")
    assert '<option value="scout">' in page
    assert f'<option value="{browser.key["_id"]}">' in page


def test_an_empty_list_says_what_to_do(browser):
    assert "No jobs yet" in browser.page("/jobs")
    assert "No job matches" in browser.page("/jobs?status=failed")


def test_a_jobs_page_tells_what_happened_to_it(browser, job_of, services):
    job = job_of("succeeded", calls=[call(first_token_ms=180)])
    services.db.token_usage.insert_one(
        {
            "_id": f"{job}:1:0",
            "workspace_id": "default",
            "model": "gpt-4o-mini",
            "provider": "openai",
            "kept": True,
            "tier": "byokey",
            "tokens_input": 12,
            "tokens_cached": 0,
            "tokens_output": 5,
            "price": {"model": "gpt-4o-mini", "source": "genai-prices", "version": "0.2.3"},
            "cost": None,
            "cost_status": "unknown",
        }
    )
    page = browser.page(f"/jobs/{job}")
    steps = re.findall(r"<b>(\w+)</b>", page)
    assert steps == ["Accepted", "Claimed", "Call", "Succeeded"]
    assert "first token after 180 ms" in page
    assert "Hello." in page
    assert "genai-prices, 0.2.3" in page
    assert "unknown" in page


def test_a_jobs_page_tells_of_lost_workers_and_why_it_waits(browser, job_of, services):
    job = job_of()
    lost = {"attempt": 1, "owner": "p7", "lost_at": utcnow()}
    services.db.jobs.update_one({"_id": job}, {"$set": {"lost": [lost], "attempt": 1}})
    page = browser.page(f"/jobs/{job}")
    assert re.findall(r"<b>([\w ]+)</b>", page) == ["Accepted", "Worker lost", "Waiting"]
    assert "process p7" in page
    assert "no worker process takes from its queue" in page


def test_another_workspaces_job_is_not_there(browser_for, job_of):
    job = job_of("failed")
    stranger = browser_for("admin", workspace="other")
    assert stranger.get(f"/jobs/{job}").status_code == 404
    for write in ("cancel", "retry", "change", "erase"):
        assert stranger.submit(f"/jobs/{job}/{write}", {"message": "x"}).status_code == 404


def test_a_queued_job_is_cancelled(browser, job_of, services):
    job = job_of()
    assert browser.submit(f"/jobs/{job}/cancel").location == f"/jobs/{job}"
    assert services.db.jobs.find_one({"_id": job})["status"] == "cancelled"
    answer = browser.submit(f"/jobs/{job}/cancel")
    assert answer.status_code == 409
    assert "cancelled already" in answer.text


def test_a_failed_job_runs_again_as_a_new_job_once(browser, job_of, services):
    job = job_of("failed")
    first, second = (browser.submit(f"/jobs/{job}/retry").location for _ in range(2))
    assert first == second != f"/jobs/{job}"
    assert services.db.jobs.find_one({"_id": first.removeprefix("/jobs/")})["retry_of"] == job


def test_a_failed_chat_runs_again_with_another_message_and_model(browser, member, agent, services, job_of):
    config = {"provider": "openai", "api_key": "sk-1", "model": "gpt-4o-mini"}
    assert member.put(f"/agents/{agent}/llm-config", config).status_code == 200
    request = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]}
    job = job_of("failed", request=request)
    form = browser.page(f"/jobs/{job}/change")
    assert "hello</textarea>" in form
    assert "toast good" not in form
    location = browser.submit(f"/jobs/{job}/change", {"message": "good day", "model": "gpt-4o"}).location
    made = services.db.jobs.find_one({"_id": location.removeprefix("/jobs/")})
    assert [message["content"] for message in made["request"]["messages"]] == ["Be brief.", "good day"]
    assert made["plan"]["targets"][0]["model"] == "gpt-4o"
    assert made["retry_of"] == job
    assert member.get(f"/agents/{agent}/llm-config").json["model"] == "gpt-4o-mini"


def test_a_change_without_a_message_is_refused(browser, job_of):
    assert browser.submit(f"/jobs/{job_of('failed')}/change", {"message": " "}).status_code == 422


def test_a_chat_whose_content_was_erased_cannot_be_changed(browser, job_of):
    job = job_of("failed")
    browser.submit(f"/jobs/{job}/erase")
    assert browser.get(f"/jobs/{job}/change").status_code == 409


def test_a_managed_agents_chat_keeps_the_model_of_its_tier(browser, member, agent, job_of):
    managed = {"managed": True, "tier": "standard"}
    assert member.put(f"/agents/{agent}/llm-config", managed).status_code == 200
    change = {"message": "good day", "model": "gpt-4o"}
    assert browser.submit(f"/jobs/{job_of('failed')}/change", change).status_code == 409


def test_the_content_of_a_job_is_erased(browser, job_of):
    job = job_of("succeeded", said="a secret")
    assert "a secret" in browser.page(f"/jobs/{job}")
    browser.submit(f"/jobs/{job}/erase")
    page = browser.page(f"/jobs/{job}")
    assert "a secret" not in page
    assert "The content was erased" in page


def test_many_are_cancelled_as_picked_after_the_count_was_named(browser, job_of, services):
    picked, other = [job_of(), job_of("running"), job_of("succeeded")], job_of()
    asked = browser.page("/jobs/bulk?action=cancel&" + "&".join(f"id={job}" for job in picked))
    assert "Cancel 2 jobs?" in asked
    answer = browser.submit("/jobs/bulk", {"action": "cancel", "id": picked, "count": "2"})
    assert answer.location == "/jobs"
    states = {job["_id"]: job for job in services.db.jobs.find()}
    assert states[picked[0]]["status"] == "cancelled"
    assert states[picked[1]]["cancel_requested"]
    assert states[picked[2]]["status"] == "succeeded"
    assert states[other]["status"] == "queued"


def test_many_are_run_again_as_filtered_and_none_that_came_later(browser, job_of, services):
    failed = [job_of("failed", error={**ERROR, "code": "overloaded"}) for _ in range(2)]
    job_of("failed")
    asked = browser.page("/jobs/bulk?action=retry&code=overloaded")
    assert "Run again 2 jobs?" in asked
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', asked))
    late = job_of("failed", error={**ERROR, "code": "overloaded"})
    services.db.jobs.update_one({"_id": late}, {"$set": {"created_at": utcnow() + timedelta(seconds=5)}})
    assert browser.submit("/jobs/bulk", {**fields, "csrf": browser.token()}).status_code == 303
    made = {job["retry_of"] for job in services.db.jobs.find({"retry_of": {"$exists": True}})}
    assert made == set(failed)


def test_of_many_those_are_done_that_the_time_names(browser, job_of, services):
    old, new = job_of(), job_of()
    services.db.jobs.update_one({"_id": old}, {"$set": {"created_at": utcnow() - timedelta(minutes=20)}})
    browser.submit("/jobs/bulk", {"action": "cancel", "within": "15m", "count": "2"})
    states = {job["_id"]: job["status"] for job in services.db.jobs.find()}
    assert states == {old: "queued", new: "cancelled"}


def test_of_many_no_more_are_done_than_were_confirmed(browser, job_of, services):
    jobs = [job_of() for _ in range(3)]
    browser.submit("/jobs/bulk", {"action": "cancel", "count": "2"})
    assert services.db.jobs.count_documents({"status": "cancelled"}) == 2
    assert len(jobs) == 3


def run_again(services):
    return {job["retry_of"] for job in services.db.jobs.find({"retry_of": {"$exists": True}})}


def test_of_many_the_rest_is_run_again_by_pressing_again(browser, job_of, services):
    failed = [job_of("failed") for _ in range(3)]
    for _ in range(2):
        browser.submit("/jobs/bulk", {"action": "retry", "count": "2"})
    assert run_again(services) == set(failed)
    assert "There is none" in browser.page("/jobs/bulk?action=retry")
    assert "There is none" in browser.page(f"/jobs/bulk?action=retry&id={failed[0]}")


def test_of_many_one_that_cannot_be_run_again_is_told_and_holds_up_no_other(browser, job_of, services, agent):
    bare = {**services.db.agents.find_one({"_id": agent}), "_id": "bare", "name": "bare", "llm_config": None}
    services.db.agents.insert_one(bare)
    old, refused, new = job_of("failed"), job_of("failed"), job_of("failed")
    services.db.jobs.update_one({"_id": refused}, {"$set": {"agent_id": "bare"}})
    browser.submit("/jobs/bulk", {"action": "retry", "count": "3"})
    assert run_again(services) == {old, new}
    page = browser.page("/jobs")
    assert "2 jobs run again. 1 job not: this agent has no provider yet" in page


@pytest.mark.parametrize(
    "fields", [{"action": "delete", "count": "1"}, {"action": "cancel"}, {"action": "cancel", "count": "-1"}]
)
def test_what_cannot_be_done_to_many_is_refused(browser, job_of, services, fields):
    job_of()
    assert browser.submit("/jobs/bulk", fields).status_code == 422
    assert services.db.jobs.count_documents({"status": "queued"}) == 1


def test_a_job_is_copied_as_a_line_for_a_shell(browser, job_of, agent):
    job = job_of(request={"messages": [{"role": "user", "content": "it's"}]})
    page = browser.page(f"/jobs/{job}")
    assert f"curl -s -X POST http://localhost/api/v1/agents/{agent}/chat" in page
    assert "it&#39;&#34;&#39;&#34;&#39;s" in page


def test_a_jobs_stream_has_its_words_and_then_says_that_it_is_over(browser, services, job_of):
    job = job_of("running")
    Emitter(services.redis, job, 1).emit("delta", {"content": "Hel"})
    stream = browser.get(f"/jobs/{job}/stream")
    told = stream.response
    assert next(told).startswith(b"event: ready")
    assert next(told).startswith(b"event: change")  # it runs
    assert b'"content": "Hel"' in next(told)
    claimed = services.db.jobs.find_one({"_id": job})
    finish(services.db, claimed, status="succeeded", calls=[], result={"message": {"content": "Hello"}})
    services.redis.publish("vutler:jobs", job)
    rest = b"".join(told)
    assert rest.endswith(b"event: over\ndata:\n\n")
    stream.close()


@pytest.mark.parametrize("where", ["input", "output", "error", "metadata", "model", "agent"])
def test_script_in_what_a_job_says_is_shown_as_text(browser, services, agent, job_of, where):
    if where == "agent":
        services.db.agents.update_one({"_id": agent}, {"$set": {"name": SCRIPT}})
    failed = where in ("error", "model")
    job = job_of(
        "failed" if failed else "succeeded",
        said=SCRIPT if where == "output" else "Hello.",
        error={**ERROR, "detail": SCRIPT} if where == "error" else None,
        calls=[call(model=SCRIPT)] if where == "model" else [],
        request={"messages": [{"role": "user", "content": SCRIPT if where == "input" else "hello"}]},
        metadata={SCRIPT: SCRIPT} if where == "metadata" else {},
    )
    for path in (f"/jobs/{job}", "/jobs"):
        page = browser.page(path)
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page or path == "/jobs"


def test_a_viewer_is_shown_no_button_that_writes(browser_for, job_of):
    viewer = browser_for("viewer")
    page = viewer.page(f"/jobs/{job_of('failed')}")
    assert re.findall(r'method="post" action="([^"]+)"', page) == ["/sign-out"]
    assert 'type="checkbox"' not in viewer.page("/jobs")


def test_a_jobs_events_are_told_in_their_order_as_far_as_they_are_kept(browser, services, job_of):
    job = job_of("running")
    emitter = Emitter(services.redis, job, 1)
    for word in ("Hel", SCRIPT):
        emitter.emit("delta", {"type": "content", "content": word})
    page = browser.page(f"/jobs/{job}/events")
    assert re.findall(r'id="event-([\d-]+)"', page) == ["1-1", "1-2"]
    assert "Hel" in page
    assert SCRIPT not in page
    assert "None is kept" in browser.page(f"/jobs/{job_of()}/events")
