"""POST /agents/{id}/chat and /llm-test."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.jobs import claim, signals
from tests.web.conftest import ANSWER


def finish(services, job_id, text="hello"):
    job = claim.claim(services.db, job_id, "a-worker")
    result = {**ANSWER, "message": {"role": "assistant", "content": text, "tool_calls": None}}
    assert claim.finish(services.db, job, status="succeeded", calls=[], result=result)
    signals.publish(services.redis, signals.CHANGED, job_id)


def test_a_chat_is_a_job(member, agent, sent, services):
    answer = member.post(f"/agents/{agent}/chat", {"message": "hello"})
    assert answer.status_code == 202
    job = answer.json
    assert (job["kind"], job["status"], job["done"]) == ("chat", "queued", False)
    assert job["agent_id"] == agent
    assert answer.headers["Location"] == f"/api/v1/jobs/{job['id']}" == job["links"]["self"]
    assert answer.headers["Retry-After"] == "1"
    assert sent.ids == [("chat", job["id"])]
    kept = services.db.jobs.find_one({"_id": job["id"]})
    assert kept["request"] == {"messages": [{"role": "user", "content": "hello"}]}
    assert kept["request_id"] == answer.headers["X-Request-Id"]


def test_a_chat_is_accepted_while_redis_is_away(member, agent, sent):
    sent.away = True
    assert member.post(f"/agents/{agent}/chat", {"message": "hello"}).status_code == 202


def test_it_answers_with_the_finished_job_when_the_client_prefers_to_wait(member, agent, sent, services):
    def work():
        while not sent.ids:
            pass
        finish(services, sent.ids[0][1])

    worker = threading.Thread(target=work)
    worker.start()
    answer = member.post(f"/agents/{agent}/chat", {"message": "hello"}, headers={"Prefer": "wait=20"})
    worker.join()
    assert answer.status_code == 200
    assert answer.headers["Preference-Applied"] == "wait=20"
    assert answer.json["result"]["message"]["content"] == "hello"


def test_it_answers_202_when_the_wait_is_over_first(member, agent):
    answer = member.post(f"/agents/{agent}/chat", {"message": "hello"}, headers={"Prefer": "wait=0"})
    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [("respond-async, wait=5", "wait=5"), ("wait=9999", "wait=120"), ('wait="7"', "wait=7")],
)
def test_the_wait_is_read_as_rfc_7240_says_and_cut_at_120(member, agent, services, sent, prefer, applied):
    headers = {"Idempotency-Key": "k"}
    finish(services, member.post(f"/agents/{agent}/chat", {"message": "a"}, headers=headers).json["id"])
    again = member.post(f"/agents/{agent}/chat", {"message": "a"}, headers={**headers, "Prefer": prefer})
    assert (again.status_code, again.headers["Preference-Applied"]) == (200, applied)


def test_the_same_idempotency_key_at_once_makes_one_job(member, agent, services):
    def post(_):
        return member.post(
            f"/agents/{agent}/chat", {"message": "hello"}, headers={"Idempotency-Key": '"key-1"'}
        )

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(post, range(50)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert services.db.jobs.count_documents({}) == 1


def test_the_quotes_of_an_idempotency_key_are_optional_and_the_order_of_fields_is_nothing(member, agent):
    one = member.post(
        f"/agents/{agent}/chat",
        data='{"message": "a", "seed": 1}',
        headers={"Idempotency-Key": '"k"', "Content-Type": "application/json"},
    )
    two = member.post(
        f"/agents/{agent}/chat",
        data='{"seed":1,"message":"a"}',
        headers={"Idempotency-Key": "k", "Content-Type": "application/json"},
    )
    assert one.json["id"] == two.json["id"]


def test_an_idempotency_key_with_another_body_is_refused(member, agent, services):
    headers = {"Idempotency-Key": "key-1"}
    member.post(f"/agents/{agent}/chat", {"message": "hello"}, headers=headers)
    refused = member.post(f"/agents/{agent}/chat", {"message": "other"}, headers=headers)
    assert (refused.status_code, refused.json["code"]) == (422, "idempotency_mismatch")
    assert services.db.jobs.count_documents({}) == 1


def test_an_idempotency_key_is_of_one_route(member, agent):
    headers = {"Idempotency-Key": "key-1"}
    chat = member.post(f"/agents/{agent}/chat", {"message": "hello"}, headers=headers)
    test = member.post(f"/agents/{agent}/llm-test", headers=headers)
    assert test.status_code == 202
    assert chat.json["id"] != test.json["id"]


@pytest.mark.parametrize("key", ["", '""', "x" * 256, "tab\tinside"])
def test_an_idempotency_key_that_cannot_be_one_is_refused(member, agent, key):
    refused = member.post(f"/agents/{agent}/chat", {"message": "a"}, headers={"Idempotency-Key": key})
    assert refused.status_code == 422


def test_a_conversation_in_openais_format_is_kept_as_it_is(member, agent, services):
    messages = [
        {"role": "system", "content": "be brief"},
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}, "extra": 1}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
        {"role": "assistant", "content": "a cat", "tool_calls": None},
    ]
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"$ref": "#/$defs/a.b"}}}]
    body = {"messages": messages, "tools": tools, "temperature": 0, "max_tokens": 5, "metadata": {"a.b": 1}}
    answer = member.post(f"/agents/{agent}/chat", body)
    assert answer.status_code == 202, answer.text
    kept = services.db.jobs.find_one({"_id": answer.json["id"]})
    assert kept["request"]["messages"] == messages
    assert kept["request"]["tools"] == tools
    assert kept["request"]["temperature"] == 0
    assert answer.json["metadata"] == {"a.b": 1}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"message": "a", "messages": [{"role": "user", "content": "a"}]}, ""),
        ({"message": ""}, "/message"),
        ({"message": 5}, "/message"),
        ({"messages": []}, "/messages"),
        ({"messages": [{"role": "wizard", "content": "a"}]}, "/messages/0/role"),
        ({"messages": [{"role": "user", "content": "a", "x/y": 1}]}, "/messages/0/x~1y"),
        ({"messages": [{"role": "user"}]}, "/messages/0"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "/messages/0"),
        ({"message": "a", "temperature": "0.5"}, "/temperature"),
        ({"message": "a", "temperature": 3}, "/temperature"),
        ({"message": "a", "max_tokens": 0}, "/max_tokens"),
        ({"message": "a", "max_tokens": True}, "/max_tokens"),
        ({"message": "a", "stream": "yes"}, "/stream"),
        ({"message": "a", "metadata": {"a": "b" * 20_000}}, "/metadata"),
        ({"message": "a", "nonsense": 1}, "/nonsense"),
    ],
)
def test_a_wrong_body_is_refused_and_the_place_is_named(member, agent, services, body, pointer):
    refused = member.post(f"/agents/{agent}/chat", body)
    assert refused.status_code == 422
    assert refused.content_type == "application/problem+json"
    assert pointer in [place["pointer"] for place in refused.json["errors"]]
    assert services.db.jobs.count_documents({}) == 0


def test_an_agent_without_a_provider_cannot_be_asked(member):
    bare = member.post("/agents", {"name": "bare"}).json["id"]
    refused = member.post(f"/agents/{bare}/chat", {"message": "a"})
    assert (refused.status_code, refused.json["code"]) == (422, "llm_config_required")


def test_no_such_agent(member):
    assert member.post("/agents/nobody/chat", {"message": "a"}).status_code == 404


def test_a_connection_test_is_a_job(member, agent, sent):
    answer = member.post(f"/agents/{agent}/llm-test")
    assert (answer.status_code, answer.json["kind"]) == (202, "llm_test")
    assert len(sent.ids) == 1
