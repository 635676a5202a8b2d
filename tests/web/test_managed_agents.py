"""How many managed agents a workspace has, and whose policy holds: an admin says it."""

from __future__ import annotations

import pytest

from core.clock import utcnow
from core.llm import tiers
from tests.core.metering.rows import managed, put

MANAGED = {"managed": True, "tier": "standard"}
FALLS_BACK = {"allow_managed_fallback": True, "tier": "standard"}
OWN = {"provider": "openai", "model": "m", "api_key": "sk-0123456789ab"}


def made(client, name, config):
    return client.post("/agents", {"name": name, "llm_config": config})


def refused(answer):
    return (answer.status_code, answer.json["code"]) == (409, "managed_agents_max")


@pytest.fixture
def one_managed(admin, member):
    """The id of the only managed agent that the workspace may have."""
    assert admin.patch("/workspaces/default", {"managed_agents_max": 1}).json["managed_agents_max"] == 1
    return made(member, "first", MANAGED).json["id"]


def test_an_admin_says_how_many_managed_agents_a_workspace_has(admin, member, one_managed):
    assert refused(made(member, "second", MANAGED))
    other = made(member, "other", OWN).json["id"]
    assert refused(member.put(f"/agents/{other}/llm-config", MANAGED))
    assert refused(member.patch(f"/agents/{other}", {"llm_config": {**OWN, **FALLS_BACK}}))
    assert member.patch("/workspaces/default", {"managed_agents_max": 2}).status_code == 403
    assert member.put(f"/agents/{one_managed}/llm-config", {**MANAGED, "tier": "premium"}).status_code == 200
    assert admin.patch("/workspaces/default", {"managed_agents_max": 2}).status_code == 200
    assert member.put(f"/agents/{other}/llm-config", MANAGED).status_code == 200
    assert admin.patch("/workspaces/default", {"managed_agents_max": None}).status_code == 200
    assert made(member, "third", MANAGED).status_code == 201


def test_an_agent_that_takes_the_place_of_another_brings_no_new_allowance(services, member, one_managed):
    of = {"workspace": "default", "agent": one_managed, "tier": "standard"}
    assert member.delete(f"/agents/{one_managed}").status_code == 204
    second = made(member, "second", MANAGED)
    assert second.status_code == 201  # the first was never asked
    put(services.db, [managed(utcnow(), (10, 0), **of)])
    assert member.delete(f"/agents/{second.json['id']}").status_code == 204
    assert refused(made(member, "third", MANAGED))


def test_a_workspaces_block_holds_for_agents_that_are_made_with_log(admin, member, services):
    limit = tiers.table().tiers["standard"].monthly_tokens
    assert admin.patch("/workspaces/default", {"limit_policy": "block"}).status_code == 200
    body = {"name": "loose", "limit_policy": "log", "llm_config": MANAGED}
    loose = member.post("/agents", body).json["id"]
    put(
        services.db,
        [managed(utcnow(), (limit, 0), workspace="default", agent=loose, tier="standard")],
    )
    assert member.post(f"/agents/{loose}/chat", {"message": "hello"}).status_code == 402
    assert member.patch("/workspaces/default", {"limit_policy": "log"}).status_code == 403
