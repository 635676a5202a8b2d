"""Free-form JSON of a user, whatever its names look like, comes back as it was on every road."""

from __future__ import annotations

import json

import pytest

from core.callbacks import Courier, outbox
from core.jobs import claim

ODD = {"$ref": "x", "$id": "y", "": 1, "a.b": {"$date": 0}, "plain": [{"$ref": "z", "$id": None}]}
PLACES = {
    "metadata": {"metadata": ODD},
    "tools": {"tools": [{"type": "function", "function": {"name": "f", "parameters": ODD}}]},
    "response_format": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": ODD}}
    },
    "a part": {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi", "extra": ODD}]}]},
}


@pytest.fixture(params=PLACES)
def asked(request):
    return {**({} if request.param == "a part" else {"message": "hi"}), **PLACES[request.param]}


def test_a_chat_keeps_what_it_was_given(member, agent, services, asked):
    made = member.post(f"/agents/{agent}/chat", asked)
    assert made.status_code == 202
    assert made.json["metadata"] == asked.get("metadata", {})
    (listed,) = member.get("/jobs").json["items"]
    assert listed == made.json == member.get(made.json["links"]["self"]).json
    kept = claim.claim(services.db, made.json["id"], "p1")
    assert all(kept["request"][name] == asked[name] for name in asked if name in ("tools", "response_format"))
    assert claim.finish(services.db, kept, status="succeeded", calls=[], result={"message": ODD})
    assert member.get(made.json["links"]["self"]).json["result"] == {"message": ODD}


def test_an_agent_keeps_what_it_was_given(member, agent):
    changed = member.patch(f"/agents/{agent}", {"metadata": ODD})
    assert changed.json["metadata"] == ODD == member.get(f"/agents/{agent}").json["metadata"]
    made = member.post("/agents", {"name": "another", "metadata": ODD})
    assert made.json["metadata"] == ODD
    assert [one["metadata"] for one in member.get("/agents").json["items"][:2]] == [ODD, ODD]


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
