"""Each field of an agent and of its `llm_config`: given, kept, shown, changed, and used where it is for use.

A field that is added to `core/agents/fields.py` needs a line here: two values of it, and what a job's plan
makes of the second; `SHOWN` for one that nothing but its reader uses.
"""

from __future__ import annotations

import pytest

from core import documents
from core.agents import agent_config, agents, fields
from web.api import models

KEY = "sk-of-a-user-0123456789"
SHOWN = None
OPENAI = {"provider": "openai", "api_key": KEY}


def first(plan):
    return plan["targets"][0]


AGENT = {
    "email": ("a@b.c", "d@e.f", SHOWN),
    "description": ("one", "two", SHOWN),
    "system_prompt": ("Be brief.", "Be kind.", lambda plan: plan["agent"]["system_prompt"] == "Be kind."),
    "tools": (["read"], ["exec", "read"], SHOWN),
    "metadata": ({"a": 1}, {"b": {"$ref": "x", "$id": 1}}, SHOWN),
    "on_worker_loss": ("retry", "fail", lambda plan: plan["on_worker_loss"] == "fail"),
    "content_retention": ("done", "30", lambda plan: plan["content_retention"] == "30"),
    "max_running": (1, 20, SHOWN),  # used by a worker: tests/core/jobs/test_bounds.py
    "limit_policy": ("log", "block", SHOWN),  # used by admission: tests/web/test_budgets.py
    "runtime_budget_usd": (1.5, 2.5, SHOWN),  # these two by its process: tests/core/runtime
    "runtime_budget_period": ("month", "day", SHOWN),
    "drive_sync": (False, True, SHOWN),  # used by its host: tests/core/runtime/test_sync.py
}
LLM_CONFIG = {
    "provider": ("minimax", "openai", lambda plan: first(plan)["provider"] == "openai"),
    "model": ("gpt-4o", "gpt-4o-mini", lambda plan: first(plan)["model"] == "gpt-4o-mini"),
    "custom_endpoint": (
        "https://a.example.com/v1",
        "https://b.example.com/v1",
        lambda plan: first(plan)["base_url"] == "https://b.example.com/v1",
    ),
    "credential": ("main", "spare", lambda plan: first(plan)["holder"] == "credential:spare"),
    "managed": (False, True, lambda plan: first(plan)["key_kind"] == "managed"),
    "tier": ("standard", "premium", lambda plan: first(plan)["model"] == "gpt-4o"),
    "temperature": (0.5, 1.5, lambda plan: plan["agent"]["temperature"] == 1.5),
    "max_tokens": (10, 20, lambda plan: plan["agent"]["max_tokens"] == 20),
    "reasoning_effort": ("low", "high", lambda plan: plan["agent"]["reasoning_effort"] == "high"),
    "top_p": (0.1, 0.2, lambda plan: plan["agent"]["top_p"] == 0.2),
    "prompt_cache": ("off", "1h", lambda plan: plan["agent"]["prompt_cache"] == "1h"),
    "fallback": (
        [],
        [{"provider": "minimax", "model": "MiniMax-M2"}],
        lambda plan: [target["model"] for target in plan["targets"][1:]] == ["MiniMax-M2"],
    ),
    "allow_managed_fallback": (False, True, lambda plan: plan["targets"][-1]["key_kind"] == "managed"),
    "wire": (
        "chat",
        "responses",
        lambda plan: (first(plan)["wire"], first(plan)["wire_given"]) == ("responses", True),
    ),
    "content_fallback": (False, True, lambda plan: plan["content_fallback"] is True),
}
NEEDS = {
    "custom_endpoint": {"provider": "openai", "model": "m", "api_key": KEY},
    "credential": {"provider": "openai"},
    "managed": {"tier": "standard"},
    "tier": {"managed": True},
    "fallback": {**OPENAI, "keys": {"minimax": KEY}},
    "allow_managed_fallback": {**OPENAI, "tier": "standard"},
}
"""What else must be said for a field to make sense; for the others: OpenAI with a key."""


def test_every_field_is_tested():
    assert set(AGENT) == set(fields.names(fields.AGENT))
    assert set(LLM_CONFIG) == set(fields.names(fields.LLM_CONFIG))


def test_a_body_has_no_field_that_is_not_in_the_tables():
    assert set(models.AgentChanges.model_fields) - set(AGENT) == {"name", "llm_config"}
    assert set(models.LlmConfig.model_fields) - set(LLM_CONFIG) == {"api_key", "keys"}


def test_documents_have_a_type_that_knows_every_field():
    born = agents.born("w1", "a1", {"name": "a"})
    assert set(born) | {"imported"} == set(documents.Agent.__annotations__) > set(AGENT)
    assert set(agent_config.EMPTY) == set(documents.LlmConfig.__annotations__) > set(LLM_CONFIG)


@pytest.fixture(autouse=True)
def credentials(member):
    for name in ("main", "spare"):
        member.put(f"/credentials/{name}", {"provider": "openai", "api_key": KEY})


@pytest.fixture
def plan_of(member, services):
    def of(agent):
        job = member.post(f"/agents/{agent}/chat", {"message": "hi"})
        assert job.status_code == 202, job.text
        return services.db.jobs.find_one({"_id": job.json["id"]})["plan"]

    return of


@pytest.mark.parametrize("name", AGENT)
def test_a_field_of_an_agent(admin, services, plan_of, name):
    one, two, used = AGENT[name]
    made = admin.post("/agents", {"name": "scout", name: one, "llm_config": OPENAI})
    assert made.json[name] == one, made.text
    agent = made.json["id"]
    changed = admin.patch(f"/agents/{agent}", {name: two})
    assert changed.json == {**made.json, name: two, "updated_at": changed.json["updated_at"]}
    assert admin.get(f"/agents/{agent}").json == changed.json == admin.get("/agents").json["items"][0]
    assert services.db.agents.find_one({"_id": agent})[name] == two
    assert used is SHOWN or used(plan_of(agent))
    renamed = admin.patch(f"/agents/{agent}", {"name": "ranger"}).json
    assert renamed[name] == two


@pytest.mark.parametrize("name", LLM_CONFIG)
def test_a_field_of_an_llm_config(admin, services, plan_of, name):
    one, two, used = LLM_CONFIG[name]
    needs = NEEDS.get(name, OPENAI)
    own_key = OPENAI if one is False else {}  # without `managed`, somebody's key is needed
    made = admin.post("/agents", {"name": "scout", "llm_config": {**needs, **own_key, name: one}})
    assert made.status_code == 201, made.text
    agent, shown = made.json["id"], made.json["llm_config"]
    assert shown[name] == one
    put = admin.put(f"/agents/{agent}/llm-config", {**needs, name: two})
    assert put.status_code == 200, put.text
    assert put.json[name] == two
    assert admin.get(f"/agents/{agent}/llm-config").json == put.json
    assert admin.get(f"/agents/{agent}").json["llm_config"] == put.json
    assert used(plan_of(agent))
    patched = admin.patch(f"/agents/{agent}", {"description": "as before"})
    assert patched.json["llm_config"] == put.json
    bare = admin.put(f"/agents/{agent}/llm-config", {**OPENAI, "custom_endpoint": None}).json
    row = next(row for row in fields.LLM_CONFIG if row.name == name)
    assert bare[name] == OPENAI.get(name, row.default)  # a PUT replaces everything but the key


@pytest.mark.parametrize("name", AGENT)
def test_an_agent_of_before_a_field_has_its_default(member, services, agent, name):
    services.db.agents.update_one({"_id": agent}, {"$unset": {name: ""}})
    row = next(row for row in fields.AGENT if row.name == name)
    assert member.get(f"/agents/{agent}").json[name] == row.default
    assert member.post(f"/agents/{agent}/chat", {"message": "hi"}).status_code == 202


@pytest.mark.parametrize("name", sorted(LLM_CONFIG.keys() - OPENAI.keys()))
def test_an_llm_config_of_before_a_field_has_its_default(admin, services, name):
    agent = admin.post("/agents", {"name": "scout", "llm_config": OPENAI}).json["id"]
    services.db.agents.update_one({"_id": agent}, {"$unset": {f"llm_config.{name}": ""}})
    row = next(row for row in fields.LLM_CONFIG if row.name == name)
    assert admin.get(f"/agents/{agent}/llm-config").json[name] == row.default
    assert admin.post(f"/agents/{agent}/chat", {"message": "hi"}).status_code == 202
