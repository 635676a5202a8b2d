"""/jobs: look at them, end them, run them again, erase what was said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pymongo import MongoClient
from pymongo.monitoring import CommandListener

from core.callbacks import Courier, outbox
from core.errors import JobFailed
from core.jobs import claim, kinds
from core.store import pages
from tests import agreeing, echo
from tests.factory import CALL, queued
from tests.web.conftest import ANSWER

FAILURE = JobFailed("no quota", code="internal").as_dict()


@pytest.fixture
def job(member, agent):
    """A queued chat, as the API shows it."""
    body = {"message": "hello", "metadata": {"a": 1}}
    return member.post(f"/agents/{agent}/chat", body).json


def finish(services, job_id, status="succeeded"):
    claimed = claim.claim(services.db, job_id, "a-worker")
    said = {"role": "assistant", "content": "secret answer"}
    result = {**ANSWER, "message": said} if status == "succeeded" else None
    error = FAILURE if status == "failed" else None
    assert claim.finish(services.db, claimed, status=status, calls=[], result=result, error=error)


def test_a_job_is_shown_and_304_to_whom_has_seen_it(member, job, services):
    answer = member.get(job["links"]["self"])
    assert answer.json == job
    assert answer.headers["Retry-After"] == "1"
    seen = {"If-None-Match": answer.headers["ETag"]}
    unchanged = member.get(job["links"]["self"], headers=seen)
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    finish(services, job["id"])
    changed = member.get(job["links"]["self"], headers=seen)
    assert (changed.status_code, changed.json["done"]) == (200, True)
    assert "Retry-After" not in changed.headers


class Replies(CommandListener):
    """Which fields of jobs the store sent."""

    def __init__(self):
        self.fields = set()

    def started(self, event):
        pass

    def succeeded(self, event):
        cursor = event.reply.get("cursor", {})
        if event.command_name == "find" and cursor["ns"].endswith(".jobs"):
            self.fields.update(*cursor["firstBatch"])

    def failed(self, event):
        pass


@pytest.mark.parametrize("path", ["", "/deliveries", "/events"])
def test_who_only_looks_at_a_job_is_not_sent_what_was_asked(member, job, services, settings, path):
    finish(services, job["id"])
    replies, before = Replies(), services.mongo
    with MongoClient(settings.mongodb_address, tz_aware=True, event_listeners=[replies]) as services.mongo:
        assert member.get(job["links"]["self"] + path).status_code == 200
    services.mongo = before
    assert {"_id", "result"} <= replies.fields
    assert not {"request", "plan"} & replies.fields


def test_a_job_is_found_by_the_id_of_its_request_or_of_a_providers(member, agent, client_for, services):
    asked = {"X-Request-Id": "from-my-own-log"}
    found = member.post(f"/agents/{agent}/chat", {"message": "a"}, headers=asked).json["id"]
    other = member.post(f"/agents/{agent}/chat", {"message": "a"}).json["id"]
    calls = [{**CALL, "n": n, "provider_request_id": name} for n, name in enumerate(["req_1", None, "req_2"])]
    job = claim.claim(services.db, found, "p1")
    assert claim.finish(services.db, job, status="failed", calls=calls, error=FAILURE)
    lost = claim.claim(services.db, other, "p1")
    claim.note_unkept(services.db, lost, [{**CALL, "provider_request_id": "req_3"}])

    def ids(query, client=member):
        return [one["id"] for one in client.get(f"/jobs?{query}").json["items"]]

    assert ids("request_id=from-my-own-log") == ids("provider_request_id=req_2") == [found]
    assert ids("provider_request_id=req_1&request_id=from-my-own-log") == [found]
    assert ids("provider_request_id=req_3") == [other]
    assert ids("provider_request_id=req_3&request_id=from-my-own-log") == []
    assert ids("provider_request_id=req") == ids("request_id=another") == []
    assert ids("provider_request_id=req_1&status=succeeded") == []
    assert ids("provider_request_id=req_1", client_for("admin", workspace="w2")) == []


def test_nothing_of_the_plan_or_the_owner_is_shown(member, job, services):
    claim.claim(services.db, job["id"], "process-1")
    shown = member.get(job["links"]["self"]).text
    for hidden in ("process-1", "plan", "sealed", "fence", "targets"):
        assert hidden not in shown


def test_jobs_are_listed_newest_first_by_what_is_asked(member, agent, services):
    ids = [member.post(f"/agents/{agent}/chat", {"message": "a"}).json["id"] for _ in range(3)]
    test = member.post(f"/agents/{agent}/llm-test").json["id"]
    finish(services, ids[0], "failed")
    listed = lambda query: [j["id"] for j in member.get(f"/jobs?{query}").json["items"]]  # noqa: E731
    assert listed("") == [test, *reversed(ids)]
    assert listed("kind=llm_test") == [test]
    assert listed("status=failed") == [ids[0]]
    assert listed("q=quota") == [ids[0]]
    assert listed(f"q={ids[1]}") == [ids[1]]
    assert listed(f"agent_id={agent}&limit=2") == [test, ids[2]]
    assert listed("agent_id=agent:scout&limit=2") == [test, ids[2]]
    assert (
        listed("agent_id=agent:demo") == listed("agent_id=another") == listed("agent_id=agent:another") == []
    )
    assert listed("since=2026-01-01T00:00:00Z&limit=1") == [test]
    assert listed("since=2999-01-01T00:00:00Z") == []


def test_a_search_that_is_not_over_says_how_far_it_looked(member, services, monkeypatch):
    monkeypatch.setattr(pages, "LOOKED_AT", 2)
    ids = [queued(services.db, workspace_id="default", agent_id=f"a{n}")["_id"] for n in range(4)]
    page = member.get("/jobs?agent_id=a0").json
    newest_two = member.get("/jobs?limit=2").json["items"]
    assert (page["items"], page["looked_back_to"]) == ([], newest_two[-1]["created_at"])
    assert page["looked_back_to"] in page["detail"]
    page = member.get(f"/jobs?agent_id=a0&cursor={page['next_cursor']}").json
    assert [job["id"] for job in page["items"]] == [ids[0]]
    assert "looked_back_to" not in page


def test_a_kind_that_there_is_not_is_no_filter(member):
    refused = member.get("/jobs?kind=chats")
    assert (refused.status_code, ", ".join(sorted(kinds.KINDS)) in refused.text) == (422, True)


def test_a_job_that_asks_no_provider_is_run_again_as_it_was(member, agent, services, monkeypatch):
    monkeypatch.setitem(kinds.KINDS, "echo", echo.ROW)
    monkeypatch.setattr(agreeing, "check", lambda *_: None)  # the specification knows no kind of the tests
    job = queued(services.db, kind="echo", request={"say": "hi"}, plan={"a": 1}, workspace_id="default")
    finish(services, job["_id"], "failed")
    again = member.post(f"/jobs/{job['_id']}/retry")
    assert (again.status_code, again.json["kind"], again.json["retry_of"]) == (202, "echo", job["_id"])
    kept = services.db.jobs.find_one({"_id": again.json["id"]})
    assert (kept["request"], kept["plan"], kept["queue"]) == ({"say": "hi"}, {"a": 1}, "echo")
    assert member.post(f"/jobs/{job['_id']}/retry").json["id"] == again.json["id"]
    assert [one["id"] for one in member.get("/jobs?kind=echo").json["items"]] == [
        again.json["id"],
        job["_id"],
    ]


def test_a_kind_may_forbid_to_be_run_again(member, services, monkeypatch):
    monkeypatch.setitem(kinds.KINDS, "echo", replace(echo.ROW, retried=False))
    job = queued(services.db, kind="echo", request={"say": "hi"}, plan={}, workspace_id="default")
    finish(services, job["_id"], "failed")
    assert member.post(f"/jobs/{job['_id']}/retry").status_code == 409


def test_another_workspaces_jobs_are_not_listed(member, services):
    queued(services.db, workspace_id="other")
    assert member.get("/jobs").json["items"] == []


def test_a_queued_job_is_cancelled_at_once(member, job):
    cancelled = member.post(job["links"]["cancel"])
    assert (cancelled.status_code, cancelled.json["status"]) == (202, "cancelled")
    assert member.post(job["links"]["cancel"]).status_code == 409


def test_a_running_job_is_asked_to_end(member, job, services):
    claim.claim(services.db, job["id"], "a-worker")
    asked = member.post(job["links"]["cancel"])
    assert (asked.status_code, asked.json["status"]) == (202, "running")
    assert services.db.jobs.find_one({"_id": job["id"]})["cancel_requested"] is True


def test_a_failed_job_is_run_again_with_todays_configuration_once(member, agent, job, services):
    finish(services, job["id"], "failed")
    member.patch(f"/agents/{agent}", {"system_prompt": "newer"})
    again = member.post(f"{job['links']['self']}/retry")
    assert (again.status_code, again.json["retry_of"]) == (202, job["id"])
    assert again.json["metadata"] == {"a": 1}
    kept = services.db.jobs.find_one({"_id": again.json["id"]})
    assert kept["request"]["messages"] == [{"role": "user", "content": "hello"}]
    assert kept["plan"]["agent"]["system_prompt"] == "newer"
    assert member.post(f"{job['links']['self']}/retry").json["id"] == again.json["id"]


def test_what_was_background_is_background_again(member, agent, services):
    asked = {"message": "hello", "priority": "background"}
    job = member.post(f"/agents/{agent}/chat", asked).json
    finish(services, job["id"], "failed")
    assert member.post(f"{job['links']['self']}/retry").json["priority"] == "background"
    assert member.post(f"/agents/{agent}/chat", {**asked, "priority": "urgent"}).status_code == 422


def test_only_what_ended_badly_is_run_again(member, job, services):
    assert member.post(f"{job['links']['self']}/retry").status_code == 409
    finish(services, job["id"])
    assert member.post(f"{job['links']['self']}/retry").status_code == 409


def test_the_content_of_a_finished_job_is_erased(member, job, services):
    assert member.delete(f"{job['links']['self']}/content").status_code == 409
    finish(services, job["id"])
    assert member.delete(f"{job['links']['self']}/content").status_code == 204
    assert "secret answer" not in member.get(job["links"]["self"]).text
    assert "hello" not in str(services.db.jobs.find_one({"_id": job["id"]}))
    assert member.delete(f"{job['links']['self']}/content").status_code == 204


def test_what_was_erased_cannot_be_run_again(member, job, services):
    finish(services, job["id"], "failed")
    assert member.delete(f"{job['links']['self']}/content").status_code == 204
    refused = member.post(f"{job['links']['self']}/retry")
    assert (refused.status_code, "erased" in refused.json["detail"]) == (409, True)


def test_a_providers_words_that_quote_the_prompt_are_erased_too(member, job, services):
    finish(services, job["id"], "failed")
    quoting = {**CALL, "n": 0, "detail": "you said hello"}
    quoted = {"error.detail": "you said hello", "calls": [quoting]}
    lost = {"attempt": 1, "owner": "p1", "calls": [quoting]}
    services.db.jobs.update_one({"_id": job["id"]}, {"$set": {**quoted, "unkept": [lost]}})
    assert member.delete(f"{job['links']['self']}/content").status_code == 204
    assert "hello" not in str(services.db.jobs.find_one({"_id": job["id"]}))
    assert member.get(job["links"]["self"]).json["error"]["detail"] == "erased with the content"


def test_no_such_job(member):
    for method, path in (("GET", ""), ("POST", "/cancel"), ("POST", "/retry"), ("DELETE", "/content")):
        assert member(method, f"/jobs/none{path}").status_code == 404


def test_what_became_of_a_jobs_callback_can_be_read(member, services, agent):
    asked = {"message": "a", "callback_url": "https://example.com/hook?token=secret"}
    job_id = member.post(f"/agents/{agent}/chat", asked).json["id"]
    path = f"/jobs/{job_id}/deliveries"
    assert member.get(path).json == {"items": [], "next_cursor": None}
    job = claim.claim(services.db, job_id, "p1")
    claim.finish(services.db, job, status="succeeded", calls=[], result={})
    outbox(services.db, [services.db.jobs.find_one({"_id": job_id})])
    answers = iter((500, 200))
    courier = Courier(services.db, services.sealer, lambda *_: next(answers))
    courier.deliver(services.db.deliveries.find_one({"job_id": job_id}))
    (waiting,) = member.get(path).json["items"]
    assert (waiting["state"], waiting["event"]) == ("due", "job.succeeded")
    assert waiting["url"] == "https://example.com/hook"
    assert waiting["next_try_at"] > waiting["created_at"]
    courier.deliver(services.db.deliveries.find_one({"job_id": job_id}))
    courier.close()
    (delivered,) = member.get(path).json["items"]
    assert (delivered["state"], [t["status"] for t in delivered["tries"]]) == ("delivered", [500, 200])
    assert delivered["delivered_at"] is not None
    assert "secret" not in member.get(path).text
