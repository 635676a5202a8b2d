"""Managed tiers over HTTP: chosen by name, refused where they cannot be had, never showing a key."""

from __future__ import annotations

import pytest

from core.llm.keyring import is_keyed
from tests.web.conftest import MANAGED_KEY


def test_a_tier_brings_provider_and_model(member, agent, services):
    answer = member.put(f"/agents/{agent}/llm-config", {"managed": True, "tier": "premium", "max_tokens": 50})
    assert answer.status_code == 200, answer.text
    shown = member.get(f"/agents/{agent}/llm-config").json
    assert (shown["managed"], shown["tier"]) == (True, "premium")
    assert (shown["provider"], shown["model"], shown["max_tokens"]) == ("openai", "gpt-4o", 50)
    assert shown["hasKey"] is False
    job = member.post(f"/agents/{agent}/chat", {"message": "hello"}).json
    kept = services.db.jobs.find_one({"_id": job["id"]})
    ((target,), text) = (kept["plan"]["targets"], str(kept))
    assert (target["key_kind"], target["tier"], is_keyed(target)) == ("managed", "premium", False)
    assert MANAGED_KEY not in text + str(services.db.agents.find_one({"_id": agent}))


@pytest.mark.parametrize(
    ("config", "pointer", "code"),
    [
        ({"managed": True}, "/tier", "unknown_tier"),
        ({"managed": True, "tier": "gold"}, "/tier", "unknown_tier"),
        ({"managed": True, "tier": "economy"}, "/tier", "tier_not_configured"),
        ({"managed": True, "tier": "premium", "model": "gpt-9"}, "/model", "invalid"),
        ({"provider": "openai", "api_key": "sk-1", "allow_managed_fallback": True}, "/tier", "unknown_tier"),
    ],
)
def test_what_cannot_be_had_is_a_422_and_changes_nothing(member, agent, config, pointer, code):
    before = member.get(f"/agents/{agent}/llm-config").json
    answer = member.put(f"/agents/{agent}/llm-config", config)
    assert (answer.status_code, answer.json["code"]) == (422, code), answer.text
    assert answer.json["errors"][0]["pointer"] == pointer
    assert member.get(f"/agents/{agent}/llm-config").json == before


def test_a_new_agent_with_a_tier_that_cannot_be_had(member):
    answer = member.post("/agents", {"name": "a", "llm_config": {"managed": True, "tier": "economy"}})
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == "/llm_config/tier"


def test_the_tiers_say_which_are_to_be_had(member):
    found = {tier["name"]: tier["available"] for tier in member.get("/usage/tiers").json["items"]}
    assert found == {"economy": False, "standard": True, "premium": True}


def explain(client, agent, body=None):
    answer = client.post(f"/agents/{agent}/llm-config/explain", body)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_explain_shows_the_route_whose_keys_and_the_largest_cost(member, agent, services):
    member.put("/credentials/main", {"provider": "anthropic", "api_key": "sk-of-a-credential"})
    config = {
        "provider": "anthropic",
        "credential": "main",
        "fallback": [{"provider": "openai", "model": "gpt-4o-mini"}],
        "keys": {"openai": "sk-for-the-fallback"},
        "allow_managed_fallback": True,
        "tier": "premium",
    }
    assert member.put(f"/agents/{agent}/llm-config", config).status_code == 200
    found = explain(member, agent, {"message": "hello", "max_tokens": 1000})
    shown = [(t["provider"], t["model"], t["address"], t["key"], t["tier"]) for t in found["route"]]
    assert shown == [
        ("anthropic", "claude-sonnet-4-5", "https://api.anthropic.com:443", "credential:main", None),
        ("openai", "gpt-4o-mini", "https://api.openai.com:443", "own", None),
        ("openai", "gpt-4o", "https://api.openai.com:443", "managed", "premium"),
    ]
    costs = [target["largest_cost"] for target in found["route"]]
    assert found["largest_cost"] == max(costs) == costs[0] > 0.015
    assert "sk-" not in str(found)
    assert services.db.jobs.count_documents({}) == 0


def test_explain_of_what_has_no_price_and_of_what_is_free(member, agent):
    assert explain(member, agent)["largest_cost"] == 0
    assert explain(member, agent)["route"][0]["key"] == "none"
    member.put(f"/agents/{agent}/llm-config", {"provider": "openai", "model": "my-own", "api_key": "sk-1"})
    assert explain(member, agent, {"messages": [{"role": "user", "content": "hi"}]})["largest_cost"] is None


def test_explain_refuses_what_a_chat_would_refuse(member, agent):
    path = f"/agents/{agent}/llm-config/explain"
    assert member.post(path, {"message": "a", "messages": []}).status_code == 422
    assert member.post(path, {"max_tokens": 0}).status_code == 422
    bare = member.post("/agents", {"name": "bare"}).json["id"]
    assert member.post(f"/agents/{bare}/llm-config/explain").json["code"] == "llm_config_required"
