"""Agents and the semantics of their llm-config: a key belongs to the address it was given for."""

from __future__ import annotations

import os
from functools import partial

import pytest

from core.agents import agent_config, agents, credentials
from core.config import Settings
from core.crypto import Sealer
from core.errors import Conflict, Forbidden, Invalid, JobFailed, KeyRequired, NotFound
from core.llm import plan
from core.llm.keyring import Keyring

SEALER = Sealer(os.urandom(32))
SETTINGS = Settings(custom_endpoint_allow="127.0.0.1:9")
KEY = "sk-first-key-0123456789"


def configure(db, given, workspace_id="w1"):
    bound = partial(
        agent_config.configured,
        workspace_id=workspace_id,
        sealer=SEALER,
        settings=SETTINGS,
        find_credential=lambda name: credentials.find(db, workspace_id, name),
    )
    return lambda agent_id, stored: bound(given, stored, agent_id=agent_id)


def make(db, config=None, name="scout"):
    return agents.create(db, "w1", {"name": name}, config and configure(db, config))


def put(db, agent, config):
    return agents.change(db, agents.get(db, "w1", agent["_id"]), {}, configure(db, config))


def targets(db, agent):
    find = partial(credentials.find, db, "w1")
    return plan.make(agent["_id"], agent["llm_config"], settings=SETTINGS, find_credential=find)


def first_target(db, agent):
    return targets(db, agent)[0]


def key_sent(db, agent):
    """The key that a job of this agent would send, with its address."""
    find = partial(credentials.find, db, "w1")
    keyring = Keyring("w1", agent["_id"], lambda: agent["llm_config"], find, SEALER, SETTINGS)
    return [(t.base_url, t.with_key().api_key) for t in plan.targets(targets(db, agent), keyring)]


def test_a_key_is_sealed_and_never_shown(db):
    agent = make(db, {"provider": "openai", "model": "gpt-4o-mini", "api_key": KEY})
    assert KEY not in str(list(db.agents.find()))
    shown = agents.public(agent)["llm_config"]
    assert KEY not in str(shown)
    assert (shown["hasKey"], shown["key_hint"]) == (True, KEY[-4:])
    assert key_sent(db, agent) == [("https://api.openai.com/v1", KEY)]


def test_no_hint_is_given_of_a_short_key(db):
    agent = make(db, {"provider": "openai", "api_key": "sk-short"})
    assert agent["llm_config"]["key_hint"] == ""


def test_a_put_without_a_key_keeps_it_and_replaces_the_rest(db):
    agent = make(db, {"provider": "openai", "model": "a", "temperature": 0.5, "api_key": KEY})
    agent = put(db, agent, {"provider": "openai", "model": "b"})
    assert agent["llm_config"]["model"] == "b"
    assert agent["llm_config"]["temperature"] is None
    assert key_sent(db, agent) == [("https://api.openai.com/v1", KEY)]


def test_another_path_of_the_same_origin_keeps_the_key(db):
    agent = make(
        db,
        {"provider": "openai", "api_key": KEY, "model": "m", "custom_endpoint": "https://a.example.com/v1"},
    )
    agent = put(
        db, agent, {"provider": "openai", "model": "m", "custom_endpoint": "https://A.example.com:443/v2"}
    )
    assert key_sent(db, agent)[0][1] == KEY


@pytest.mark.parametrize(
    "moved",
    [
        {"provider": "anthropic"},
        {"provider": "openai", "model": "m", "custom_endpoint": "https://evil.example.com/v1"},
        {"provider": "openai", "model": "m", "custom_endpoint": "http://127.0.0.1:9/v1"},
        {"provider": "openai", "model": "m", "custom_endpoint": "https://api.openai.com:8443/v1"},
    ],
)
def test_a_put_that_moves_the_address_needs_the_key_again(db, moved):
    agent = make(db, {"provider": "openai", "api_key": KEY})
    with pytest.raises(KeyRequired) as refused:
        put(db, agent, moved)
    assert refused.value.code == "key_required"
    assert agents.get(db, "w1", agent["_id"]) == agent


SPELLINGS = [
    "https://api.openai.com/v1",
    "https://API.openai.com:443/v1/",
    "https://api.openai.com./v1",
    "https://api.openai.com/v2",
    "https://ａpi.openai.com/v1",
    "https://eu.api.openai.com/v1",
    "https://a-region-to-come.api.openai.com/v1",
]


@pytest.mark.parametrize("endpoint", SPELLINGS)
def test_the_vendors_own_address_needs_a_key_and_has_the_vendors_price(db, endpoint):
    with pytest.raises(KeyRequired):
        make(db, {"provider": "openai", "model": "m", "custom_endpoint": endpoint})
    agent = make(db, {"provider": "openai", "model": "m", "custom_endpoint": endpoint, "api_key": KEY})
    assert first_target(db, agent)["key_kind"] == "byokey"


def test_another_vendors_address_is_refused_by_name(db):
    elsewhere = {
        "provider": "openai",
        "model": "m",
        "custom_endpoint": "https://api.anthropic.com/v1",
        "api_key": KEY,
    }
    with pytest.raises(Invalid, match="this is anthropic's own address"):
        make(db, elsewhere)
    with pytest.raises(Invalid, match="this is anthropic's own address"):
        credentials.put(db, "w1", "main", elsewhere, sealer=SEALER, settings=SETTINGS)


@pytest.mark.parametrize("host", ["api.openai.com.example.com", "myapi.openai.com", "api-openai.com"])
def test_an_address_that_only_resembles_a_vendors_is_a_users_own(db, host):
    agent = make(db, {"provider": "openai", "model": "m", "custom_endpoint": f"https://{host}/v1"})
    assert first_target(db, agent)["key_kind"] == "custom"


def test_a_key_that_is_given_moves_with_the_address(db):
    agent = make(db, {"provider": "openai", "api_key": KEY})
    endpoint = "https://other.example.com/v1"
    agent = put(
        db, agent, {"provider": "openai", "model": "m", "custom_endpoint": endpoint, "api_key": "sk-new"}
    )
    assert key_sent(db, agent) == [(endpoint, "sk-new")]


def test_null_removes_the_key(db):
    agent = make(db, {"provider": "openai", "api_key": KEY})
    with pytest.raises(KeyRequired):
        put(db, agent, {"provider": "openai", "api_key": None})
    endpoint = "http://127.0.0.1:9/v1"
    agent = put(db, agent, {"provider": "openai", "api_key": None, "model": "m", "custom_endpoint": endpoint})
    assert agents.public(agent)["llm_config"]["hasKey"] is False
    assert key_sent(db, agent) == [(endpoint, None)]


def test_a_provider_that_needs_no_key_drops_the_stored_one(db):
    agent = make(db, {"provider": "openai", "api_key": KEY})
    agent = put(db, agent, {"provider": "sandbox"})
    assert agent["llm_config"]["sealed_key"] is None
    with pytest.raises(KeyRequired):
        put(db, agent, {"provider": "openai"})


def test_keys_of_fallbacks_are_kept_replaced_and_removed_one_by_one(db):
    keys = {"minimax": "mm-0123456789abc", "anthropic": "an-0123456789abc"}
    agent = make(db, {"provider": "openai", "api_key": KEY, "keys": keys})
    shown = agents.public(agent)["llm_config"]["keys"]
    assert shown["minimax"] == {"hasKey": True, "key_hint": "9abc"}
    assert ("https://api.minimax.io/v1", keys["minimax"]) in key_sent(db, agent)
    agent = put(db, agent, {"provider": "openai"})
    assert set(agent["llm_config"]["keys"]) == set(keys)
    agent = put(db, agent, {"provider": "openai", "keys": {"minimax": "mm-new", "anthropic": None}})
    assert key_sent(db, agent)[1:] == [("https://api.minimax.io/v1", "mm-new")]
    agent = put(db, agent, {"provider": "openai", "keys": None})
    assert agent["llm_config"]["keys"] == {}


def test_a_sealed_key_does_not_open_for_another_agent_or_address(db):
    agent = make(db, {"provider": "openai", "api_key": KEY})
    for changed in (
        {"_id": "another"},
        {"llm_config": {**agent["llm_config"], "model": "m", "custom_endpoint": "https://b.c"}},
    ):
        with pytest.raises(JobFailed, match="cannot be opened"):
            key_sent(db, {**agent, **changed})


@pytest.mark.parametrize(
    ("config", "pointer"),
    [
        ({"provider": "openai"}, "/api_key"),
        ({"provider": "nobody", "api_key": KEY}, "/provider"),
        ({"api_key": KEY}, "/provider"),
        ({"provider": "openai", "api_key": KEY, "custom_endpoint": "http://10.0.0.1/v1"}, "/custom_endpoint"),
        (
            {"provider": "openai", "api_key": KEY, "model": "m", "custom_endpoint": "https://[::1"},
            "/custom_endpoint",
        ),
        ({"provider": "openai", "api_key": KEY, "keys": {"nobody": "x"}}, "/keys/nobody"),
        (
            {"provider": "openai", "api_key": KEY, "fallback": [{"provider": "sandbox"}]},
            "/fallback/0/provider",
        ),
        ({"provider": "openai", "credential": "none"}, "/credential"),
        ({"provider": "openai", "credential": "none", "api_key": KEY}, "/credential"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused_where_it_is_wrong(db, config, pointer):
    with pytest.raises(Invalid) as refused:
        make(db, config)
    assert [place["pointer"] for place in refused.value.errors] == [pointer]
    assert KEY not in str(refused.value.as_dict())
    assert db.agents.count_documents({}) == 0


def test_a_credential_is_used_instead_of_a_key(db):
    put_credential = partial(credentials.put, db, "w1", "shared", sealer=SEALER, settings=SETTINGS)
    put_credential({"provider": "openai", "api_key": "sk-shared-1"})
    agent = make(db, {"provider": "openai", "credential": "shared"})
    assert key_sent(db, agent) == [("https://api.openai.com/v1", "sk-shared-1")]
    put_credential({"provider": "openai", "api_key": "sk-shared-2"})
    assert key_sent(db, agent) == [("https://api.openai.com/v1", "sk-shared-2")]


def test_a_name_is_taken_once_in_a_workspace(db):
    make(db, name="one")
    with pytest.raises(Conflict):
        make(db, name="one")
    two = make(db, name="two")
    with pytest.raises(Conflict):
        agents.change(db, two, {"name": "one"})
    agents.create(db, "w2", {"name": "one"}, None)


def test_a_change_is_made_on_top_of_another(db):
    agent = make(db, {"provider": "openai", "api_key": KEY})
    agents.change(db, agent, {"description": "first"})
    changed = agents.change(db, agent, {"system_prompt": "second"})  # `agent` is out of date by now
    assert (changed["description"], changed["system_prompt"]) == ("first", "second")


def test_a_policy_that_was_made_stricter_meanwhile_is_not_loosened(db):
    agent = make(db)
    agents.change(db, agent, {"limit_policy": "block"})
    with pytest.raises(Forbidden):
        agents.change(db, agent, {"limit_policy": "log"})  # `agent` is out of date by now
    assert agents.change(db, agent, {"limit_policy": "log"}, may_loosen=True)["limit_policy"] == "log"


def test_a_key_that_was_sealed_anew_meanwhile_is_kept_as_it_is_now(db):
    agent = make(db, {"provider": "openai", "api_key": KEY})
    resealed = put(db, agent, {"provider": "openai", "api_key": KEY})
    after = agents.change(db, agent, {}, configure(db, {"provider": "openai", "model": "b"}))
    assert after["llm_config"]["sealed_key"] == resealed["llm_config"]["sealed_key"]


def test_another_workspaces_agent_is_not_there(db):
    agent = make(db)
    with pytest.raises(NotFound):
        agents.get(db, "w2", agent["_id"])
