"""An agent's key reads the jobs that it made itself, and nothing of what others made with its agent."""

from __future__ import annotations

import pytest

from core.chat import conversations
from core.jobs.claim import claim, finish
from tests.factory import asking
from tests.web.asking import HELLO
from tests.web_client import Client

READS = ["/jobs/{}", "/jobs/{}/events"]


@pytest.fixture
def bound(client_for, agent):
    return client_for("agent", agents=[agent])


def chat(client, agent, text="hello", **more):
    answer = client.post(f"/agents/{agent}/chat", {"message": text, **more})
    assert answer.status_code == 202, answer.text
    return answer.json["id"]


@pytest.mark.parametrize("path", READS)
def test_what_others_made_with_its_agent_is_not_there(services, member, bound, agent, path):
    theirs, own = chat(member, agent), chat(bound, agent)
    services.db.jobs.update_many({}, {"$set": {"status": "failed"}})
    assert bound.get(path.format(theirs)).status_code == 404
    assert bound.get(path.format(own)).status_code == 200
    assert member.get(path.format(own)).status_code == 200


def test_it_cancels_nobody_elses_job(member, bound, client_for, agent):
    second = client_for("agent", agents=[agent])
    for theirs in (chat(member, agent), chat(second, agent)):
        assert bound.post(f"/jobs/{theirs}/cancel").status_code == 404
    assert bound.post(f"/jobs/{chat(bound, agent)}/cancel").status_code == 202


def test_a_key_that_took_its_place_sees_its_jobs(app, member, agent):
    first = Client(app, member.post(f"/agents/{agent}/rotate-key", {"grace": 300}).json["key"])
    made = chat(first, agent)
    second = Client(app, member.post(f"/agents/{agent}/rotate-key", {"grace": 300}).json["key"])
    assert second.get(f"/jobs/{made}").status_code == 200


def test_the_idempotency_key_of_another_does_not_give_it_that_ones_job(member, bound, agent):
    headers = {"Idempotency-Key": "one"}
    theirs, own, again = (
        client.post(f"/agents/{agent}/chat", {"messages": HELLO}, headers=headers).json["id"]
        for client in (member, bound, bound)
    )
    assert theirs != own == again


def test_of_a_conversation_it_is_told_its_own_turns_alone(services, member, bound, agent):
    def told(client, text):
        job = claim(services.db, chat(client, agent, text, conversation_id="c1"), "p1")
        request = asking(job["request"]["messages"], max_tokens=10)
        said, _ = conversations.recall(services.db, job, request, 10_000)
        message = {"role": "assistant", "content": f"answer to {text}"}
        assert finish(services.db, job, status="succeeded", calls=[], result={"message": message})
        return [one["content"] for one in said.messages]

    told(member, "theirs")
    assert told(bound, "mine") == ["mine"]
    assert told(bound, "more") == ["mine", "answer to mine", "more"]
    everything = ["theirs", "answer to theirs", "mine", "answer to mine", "more", "answer to more", "last"]
    assert told(member, "last") == everything
