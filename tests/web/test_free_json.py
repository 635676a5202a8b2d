"""Free-form JSON with odd names comes back as it was on every road: a user's, and a provider's."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest

from core.callbacks import Courier, outbox
from core.jobs import claim
from tests.providers.scripted import answering, provider
from tests.providers.vendors import ANTHROPIC_WHOLE, OPENAI_WHOLE
from tests.web.conftest import ANSWER

ODD = {
    "reference": {"$ref": "x", "$id": "y"},
    "within": [{"$ref": "z", "$id": {"$ref": "z", "$id": None}, "$db": "w"}, 1e300],
    "names": {"": 1, "a.b": {"$date": 0}, "$oid": "0"},
}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", **ODD}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": ODD}}
PARTS = [{"role": "user", "content": [{"type": "text", "text": "hi", "extra": ODD}]}]
PLACES = {
    "metadata": {"message": "hi", "metadata": ODD},
    "tools": {"message": "hi", "tools": [FUNCTION]},
    "tool_choice": {"message": "hi", "tools": [FUNCTION], "tool_choice": ODD},
    "response_format": {"message": "hi", "response_format": SCHEMA},
    "a part": {"messages": PARTS},
}
FOR_THE_PROVIDER = ("tools", "tool_choice", "response_format")


@pytest.fixture(params=PLACES)
def asked(request):
    return PLACES[request.param]


@contextmanager
def asking(member, vendor, whole):
    """(an agent, the provider that it asks, which answers with `whole`)."""
    with provider(answering(whole)) as running:
        config = {"provider": vendor, "model": "m", "custom_endpoint": running.url}
        yield member.post("/agents", {"name": "asker", "llm_config": config}).json["id"], running


def test_a_chat_keeps_what_it_was_given(member, agent, services, asked):
    made = member.post(f"/agents/{agent}/chat", asked)
    assert made.status_code == 202
    assert made.json["metadata"] == asked.get("metadata", {})
    (listed,) = member.get("/jobs").json["items"]
    assert listed == made.json == member.get(made.json["links"]["self"]).json
    kept = claim.claim(services.db, made.json["id"], "p1")
    assert all(kept["request"][name] == asked[name] for name in FOR_THE_PROVIDER if name in asked)
    result = {**ANSWER, "message": {"role": "assistant", "content": None, "logprobs": ODD}}
    assert claim.finish(services.db, kept, status="succeeded", calls=[], result=result)
    done = member.get(made.json["links"]["self"]).json
    assert done["result"] == result
    assert told(member.get(made.json["links"]["events"])) == done


def told(stream):
    """The job that the last event of a stream carries."""
    return json.loads(stream.text.rpartition("data: ")[2])


def test_a_provider_is_asked_what_was_said(member, at_once, asked):
    with asking(member, "openai", OPENAI_WHOLE) as (agent, asked_provider):
        job = member.post(f"/agents/{agent}/chat", asked).json
        member.post("/v1/chat/completions", {"model": agent, "messages": PARTS, **asked_of_the_door(asked)})
    assert member.get(f"/jobs/{job['id']}").json["status"] == "succeeded"
    by_chat, by_the_door = (received.body for received in asked_provider.received)
    for name in FOR_THE_PROVIDER:
        assert by_chat.get(name) == by_the_door.get(name) == asked.get(name)
    assert by_the_door["messages"] == PARTS
    assert by_chat["messages"] == asked.get("messages", [{"role": "user", "content": "hi"}])


def asked_of_the_door(asked):
    return {name: asked[name] for name in FOR_THE_PROVIDER if name in asked}


SAID = {"$ref": "x", "$id": 1, "filter": {"age": {"$gt": 5}, "": [[[[[[[[[[[[[[[[[["deep"]]]]]]]]]]]]]]]]]]}}
CALLS = {
    "openai": {
        **OPENAI_WHOLE,
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": {
                    "role": "assistant",
                    "tool_calls": [
                        {
                            "id": "c1",
                            "type": "function",
                            "function": {"name": "find", "arguments": json.dumps(SAID)},
                            "vendors_own": SAID,
                        }
                    ],
                },
            }
        ],
    },
    "anthropic": {
        **ANTHROPIC_WHOLE,
        "stop_reason": "tool_use",
        "content": [{"type": "tool_use", "id": "c1", "name": "find", "input": SAID}],
    },
}


@pytest.mark.parametrize("vendor", CALLS)
def test_what_a_provider_says_is_shown_as_it_said_it(member, at_once, vendor):
    with asking(member, vendor, CALLS[vendor]) as (agent, _):
        job = member.post(f"/agents/{agent}/chat", {"message": "hi"}).json
    (call,) = member.get(f"/jobs/{job['id']}").json["result"]["message"]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == SAID
    assert call.get("vendors_own", SAID) == SAID


def test_an_agent_keeps_what_it_was_given(member, agent):
    changed = member.patch(f"/agents/{agent}", {"metadata": ODD})
    assert changed.json["metadata"] == ODD == member.get(f"/agents/{agent}").json["metadata"]
    made = member.post("/agents", {"name": "another", "metadata": ODD})
    assert made.json["metadata"] == ODD
    assert [one["metadata"] for one in member.get("/agents").json["items"][:2]] == [ODD, ODD]


def test_a_job_that_is_run_again_asks_the_same(member, agent, services):
    asked = {"message": "hi", "tools": [FUNCTION], "metadata": ODD}
    first = member.post(f"/agents/{agent}/chat", asked).json
    member.post(first["links"]["cancel"])
    again = member.post(f"/jobs/{first['id']}/retry").json
    assert again["metadata"] == ODD
    assert services.db.jobs.find_one({"_id": again["id"]})["request"]["tools"] == [FUNCTION]


def test_a_callback_tells_it_as_it_was(member, agent, services):
    asked = {"message": "a", "callback_url": "https://example.com/hook", "metadata": ODD}
    job_id = member.post(f"/agents/{agent}/chat", asked).json["id"]
    claim.finish(services.db, claim.claim(services.db, job_id, "p1"), status="succeeded", calls=[], result={})
    outbox(services.db, [services.db.jobs.find_one({"_id": job_id})])
    bodies = []
    courier = Courier(services.db, services.sealer, lambda _url, _headers, body: bodies.append(body) or 200)
    courier.deliver(services.db.deliveries.find_one({"job_id": job_id}))
    courier.close()
    assert json.loads(bodies[0])["data"]["metadata"] == ODD
