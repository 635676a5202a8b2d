"""/agents and /agents/{id}/llm-config."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from urllib.parse import quote

import pytest

from core.clock import utcnow
from core.runtime import records
from tests.conftest import patient
from tests.proxy import Proxy

KEY = "sk-of-a-user-0123456789"
OPENAI = {"provider": "openai", "model": "gpt-4o-mini", "api_key": KEY}


def test_an_agent_is_made_read_changed_and_deleted(member):
    made = member.post("/agents", {"name": "scout", "email": "a@b.c", "llm_config": OPENAI})
    assert made.status_code == 201
    agent = made.json
    assert made.headers["Location"] == f"/api/v1/agents/{agent['id']}"
    assert agent["llm_config"]["hasKey"] is True
    assert agent["on_worker_loss"] == "retry"
    assert member.get(f"/agents/{agent['id']}").json == agent
    changed = member.patch(f"/agents/{agent['id']}", {"system_prompt": "be brief", "on_worker_loss": "fail"})
    assert changed.status_code == 200
    assert changed.json["system_prompt"] == "be brief"
    assert changed.json["llm_config"] == agent["llm_config"]
    assert changed.json["name"] == "scout"
    assert member.delete(f"/agents/{agent['id']}").status_code == 204
    assert member.get(f"/agents/{agent['id']}").status_code == 404


def test_a_name_that_is_taken_is_a_conflict(member):
    member.post("/agents", {"name": "scout"})
    assert member.post("/agents", {"name": "scout"}).status_code == 409
    other = member.post("/agents", {"name": "other"}).json["id"]
    refused = member.patch(f"/agents/{other}", {"name": "scout"})
    assert (refused.status_code, refused.json["code"]) == (409, "name_taken")


def test_the_list_is_paged_newest_first_and_stable(member):
    for n in range(5):
        member.post("/agents", {"name": f"agent-{n}"})
    first = member.get("/agents?limit=2").json
    member.post("/agents", {"name": "late"})
    second = member.get(f"/agents?limit=2&cursor={first['next_cursor']}").json
    third = member.get(f"/agents?limit=200&cursor={second['next_cursor']}").json
    names = [agent["name"] for page in (first, second, third) for agent in page["items"]]
    assert names == ["agent-4", "agent-3", "agent-2", "agent-1", "agent-0", "demo"]
    assert third["next_cursor"] is None


def test_the_key_is_in_no_answer_and_not_in_the_store(member, services, capsys):
    agent = member.post("/agents", {"name": "scout", "llm_config": OPENAI}).json["id"]
    answers = [
        member.get(f"/agents/{agent}"),
        member.get("/agents"),
        member.get(f"/agents/{agent}/llm-config"),
        member.put(f"/agents/{agent}/llm-config", OPENAI),
        member.put(f"/agents/{agent}/llm-config", {**OPENAI, "custom_endpoint": "http://10.0.0.1"}),
        member.put(f"/agents/{agent}/llm-config", {**OPENAI, "fallback": 5}),
        member.post(f"/agents/{agent}/chat", {"message": "a"}),
        member.get("/jobs"),
    ]
    assert not any(KEY in answer.text for answer in answers)
    kept = [list(services.db[name].find()) for name in services.db.list_collection_names()]
    assert KEY not in str(kept)
    assert KEY not in capsys.readouterr().out


def test_putting_an_llm_config_answers_with_it_without_its_secrets(member):
    agent = member.post("/agents", {"name": "scout"}).json["id"]
    assert member.get(f"/agents/{agent}/llm-config").json is None
    put = member.put(f"/agents/{agent}/llm-config", {**OPENAI, "temperature": 1})
    assert put.status_code == 200
    assert put.json == member.get(f"/agents/{agent}/llm-config").json
    assert (put.json["hasKey"], put.json["key_hint"], put.json["temperature"]) == (True, "6789", 1)
    assert "api_key" not in put.json
    assert "sealed_key" not in put.json


def test_moving_the_address_without_the_key_is_refused_and_changes_nothing(member):
    agent = member.post("/agents", {"name": "scout", "llm_config": OPENAI}).json
    moved = {"provider": "openai", "model": "m", "custom_endpoint": "https://evil.example.com/v1"}
    refused = member.put(f"/agents/{agent['id']}/llm-config", moved)
    assert (refused.status_code, refused.json["code"]) == (422, "key_required")
    refused = member.patch(f"/agents/{agent['id']}", {"llm_config": moved, "description": "moved"})
    assert refused.json["errors"][0]["pointer"] == "/llm_config/api_key"
    assert member.get(f"/agents/{agent['id']}").json == agent


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://10.0.0.1/v1",
        "https://localhost/",
        "ftp://a.b",
        "https://a:b@c.d",
        "https://a.example.com/v1?api-version=1",
        "https://a.example.com/v1#x",
    ],
)
def test_an_endpoint_that_is_not_allowed_is_refused(member, endpoint):
    config = {**OPENAI, "model": "m", "custom_endpoint": endpoint}
    refused = member.post("/agents", {"name": "a", "llm_config": config})
    assert refused.status_code == 422
    assert refused.json["errors"][0]["pointer"] == "/llm_config/custom_endpoint"
    key = {"provider": "openai", "api_key": "sk-0123456789", "custom_endpoint": endpoint}
    refused = member.put("/credentials/main", key)
    assert refused.status_code == 422
    assert refused.json["errors"][0]["pointer"] == "/custom_endpoint"


def test_an_endpoint_of_ones_own_needs_a_model(member, agent):
    address = "https://a.example.com/v1"
    key = {"provider": "openai", "api_key": "sk-0123456789"}
    assert member.put("/credentials/main", {**key, "custom_endpoint": address}).status_code == 201
    for config in ({"custom_endpoint": address}, {"credential": "main"}):
        refused = member.put(f"/agents/{agent}/llm-config", {"provider": "openai", **config})
        assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (422, "/model")
        named = {"provider": "openai", "model": "m", **config}
        assert member.put(f"/agents/{agent}/llm-config", named).status_code == 200
    at_the_vendors = {**key, "custom_endpoint": "https://api.openai.com/v1"}
    assert member.put(f"/agents/{agent}/llm-config", at_the_vendors).status_code == 200


def test_a_credential_that_is_given_an_endpoint_later_needs_a_model_too(member, agent):
    key = {"provider": "openai", "api_key": "sk-0123456789"}
    member.put("/credentials/main", key)
    member.put(f"/agents/{agent}/llm-config", {"provider": "openai", "credential": "main"})
    assert member.post(f"/agents/{agent}/chat", {"message": "hello"}).status_code == 202
    member.put("/credentials/main", {**key, "custom_endpoint": "https://a.example.com/v1"})
    refused = member.post(f"/agents/{agent}/chat", {"message": "hello"})
    assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (422, "/model")


def test_deleting_an_agent_ends_its_keys_and_cancels_its_queued_jobs(member, agent, client_for, services):
    bound = client_for("agent", agents=[agent])
    queued = bound.post(f"/agents/{agent}/chat", {"message": "a"}).json
    others = member.post("/agents/demo/chat", {"message": "a"}).json
    assert member.delete(f"/agents/{agent}").status_code == 204
    assert member.get(queued["links"]["self"]).json["status"] == "cancelled"
    assert bound.get(queued["links"]["self"]).status_code == 401
    assert member.get(others["links"]["self"]).json["status"] == "queued"
    assert member.delete(f"/agents/{agent}").status_code == 404


@pytest.mark.parametrize(
    "command", ["find jobs", "update jobs", "find conversations", "delete conversations", "delete runtimes"]
)
def test_a_removal_that_an_outage_cuts_off_can_be_repeated(member, agent, services, settings, command):
    body = {"message": "private", "conversation_id": "c1"}
    job = member.post(f"/agents/{agent}/chat", body).json["links"]["self"]
    services.db.conversations.insert_one(
        {"_id": "1", "agent_id": agent, "name": "c1", "created_at": utcnow()}
    )
    services.db.runtimes.insert_one(records.born("default", agent))
    with closing(Proxy(settings.mongodb_uri)) as proxy:
        before = services.mongo
        through = settings.model_copy(update={"mongodb_uri": proxy.uri})
        with patient(through) as services.mongo:
            name, collection = command.encode().split()
            sent = b"%b\0%b%b\0" % (name, (len(collection) + 1).to_bytes(4, "little"), collection)
            proxy.lose_reply_to(sent, 9)  # a read is tried again
            assert member.delete(f"/agents/{agent}").status_code == 503
        services.mongo = before
    assert member.delete(f"/agents/{agent}").status_code == 204
    assert member.get(job).json["status"] == "cancelled"
    assert services.db.conversations.count_documents({}) == services.db.runtimes.count_documents({}) == 0


def test_what_is_asked_while_an_agent_is_removed_is_cancelled(member, agent, services, meanwhile):
    late = []
    ask = partial(member.post, f"/agents/{agent}/chat", {"message": "a"})
    meanwhile.before("delete", "agents", lambda: late.append(ask().json["links"]["self"]))
    before, services.mongo = services.mongo, meanwhile.db.client
    assert member.delete(f"/agents/{agent}").status_code == 204
    services.mongo = before
    assert member.get(late[0]).json["status"] == "cancelled"


CALLS = (
    ("GET", ""),
    ("PATCH", ""),
    ("GET", "/llm-config"),
    ("POST", "/llm-test"),
    ("GET", "/usage"),
    ("GET", "/conversations"),
    ("DELETE", ""),
)


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_a_path_names_an_agent_by_its_name_too(member, agent, method, path):
    body = {"json": {"description": "d"}} if method == "PATCH" else {}
    named = member(method, f"/agents/agent:scout{path}", **body)
    assert named.status_code < 300
    if named.data and method == "GET" and path == "":
        assert named.json["id"] == agent


@pytest.mark.parametrize(
    "name", ["team/scout", "a/chat", "a%2Fb", "ä ö", "a?b#c", "..", "agent:x", "x" * 200]
)
def test_any_name_can_stand_in_a_path(member, name):
    made = member.post("/agents", {"name": name, "llm_config": {"provider": "sandbox"}}).json
    path = f"/agents/agent:{quote(name, safe='')}"
    assert member.get(path).json == made
    assert member.post(f"{path}/chat", {"message": "a"}).json["agent_id"] == made["id"]


def test_a_name_of_nobody_or_of_another_workspace_is_not_found(member, agent, client_for):
    assert member.get("/agents/agent:nobody").status_code == 404
    other = client_for("member", workspace="other")
    assert other.get("/agents/agent:scout").status_code == 404
    theirs = other.post("/agents", {"name": "scout"}).json["id"]
    assert [client.get("/agents/agent:scout").json["id"] for client in (member, other)] == [agent, theirs]


def test_a_key_of_one_agent_is_not_told_which_names_there_are(agent, client_for):
    mine = client_for("agent", agents=[agent])
    answers = [mine.get(f"/agents/agent:{name}/usage") for name in ("demo", "another")]
    assert [(answer.status_code, answer.json["detail"]) for answer in answers] == [(404, "no such agent")] * 2


def test_a_key_of_one_agent_reaches_no_other_by_its_name(member, agent, client_for):
    other = member.post("/agents", {"name": "other"}).json["id"]
    bound = client_for("agent", agents=[other])
    assert bound.post("/agents/agent:scout/chat", {"message": "a"}).status_code == 404
