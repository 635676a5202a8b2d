"""What is told of each provider call: on its job, however that ended, and in the usage of the door."""

from __future__ import annotations

import pytest

from core.jobs import claim, signals
from core.jobs.claim import note_unkept
from tests.factory import CALL, queued
from tests.providers.vendors import failing, good
from tests.web.asking import ask
from tests.web.conftest import ANSWER

WAIT = {"Prefer": "wait=60"}


@pytest.fixture
def asked(member, vendor, in_threads):
    """An agent whose provider says what the test tells it to."""
    config = {"provider": "openai", "model": "gpt-4o-mini", "custom_endpoint": vendor.url}
    return member.post("/agents", {"name": "scout", "llm_config": config}).json["id"]


def test_a_streamed_call_says_how_fast_it_was(member, asked, vendor):
    vendor.says(good("openai", True))
    job = member.post(f"/agents/{asked}/chat", {"message": "x", "stream": True}, headers=WAIT).json
    (call,) = job["calls"]
    assert call["first_token_ms"] >= 1
    assert call["output_tokens_per_second"] is None or call["output_tokens_per_second"] > 0
    assert job["result"]["calls"] == [{k: v for k, v in call.items() if k not in ("attempt", "detail")}]


def test_a_failed_job_shows_each_call_and_what_was_said_to_it(member, asked, vendor):
    vendor.says(failing("openai", 400, "no such model", None, None, ("x-request-id", "req_1")))
    job = member.post(f"/agents/{asked}/chat", {"message": "x"}, headers=WAIT).json
    assert (job["status"], job["result"]) == ("failed", None)
    (call,) = job["calls"]
    assert (call["outcome"], call["http_status"], call["attempt"]) == ("provider_refused", 400, 1)
    assert (call["detail"], call["provider_request_id"]) == ("no such model", "req_1")
    member.delete(f"/jobs/{job['id']}/content")
    (erased,) = member.get(f"/jobs/{job['id']}").json["calls"]
    assert erased == {**call, "detail": None}


def test_a_cancelled_job_shows_its_calls_also_those_of_a_worker_that_had_lost_it(member, agent, services):
    job = queued(services.db, workspace_id="default", agent_id=agent)
    first = claim.claim(services.db, job["_id"], "p1")
    services.db.jobs.update_one({"_id": job["_id"]}, {"$set": {"status": "queued"}})
    second = claim.claim(services.db, job["_id"], "p2")
    cut_off = {**CALL, "attempt": 2, "outcome": "cancelled", "http_status": None}
    assert claim.finish(services.db, second, status="cancelled", calls=[cut_off])
    note_unkept(services.db, first, [{**CALL, "attempt": 1}])
    shown = member.get(f"/jobs/{job['_id']}").json["calls"]
    assert [(c["attempt"], c["outcome"]) for c in shown] == [(1, "ok"), (2, "cancelled")]
    (listed,) = member.get("/jobs?status=cancelled").json["items"]
    assert listed["calls"] == shown


@pytest.mark.parametrize("cost", [0.0042, None])
def test_the_doors_usage_says_what_it_cost(member, agent, services, cost):
    def carry_out(sent):
        job = claim.claim(services.db, sent["_id"], "p1")
        result = {**ANSWER, "cost": cost}
        assert claim.finish(services.db, job, status="succeeded", calls=[], result=result)
        signals.publish(services.redis, signals.CHANGED, sent["_id"])

    services.send = carry_out
    for road in ("door", "door-stream"):
        usage = ask(member, "agent:scout", road, stream_options={"include_usage": True}).usage
        assert (usage["total_tokens"], usage["cost"]) == (1, cost)
