"""What a process is started with, made of its agent."""

import json

import pytest
from pydantic import SecretStr

from core.agents import agent_config, agents, fields
from core.config import Settings
from core.crypto import Sealer
from core.errors import JobFailed
from core.runtime import spec

SEALER = Sealer(b"k" * 32)
OPENAI_KEY, ANTHROPIC_KEY, MANAGED_KEY = "sk-openai-0123456789", "sk-ant-0123456789", "sk-managed-0123456789"


@pytest.fixture
def settings(tmp_path):
    return Settings(
        data_dir=tmp_path,
        managed_llm_keys={"anthropic": SecretStr(MANAGED_KEY), "openai": SecretStr(MANAGED_KEY)},
    )


def agent(settings, more=None, **config):
    born = agents.born(
        "w1", "a1", {"name": "scout", "system_prompt": "Be brief.", "tools": ["read"], **(more or {})}
    )
    born["llm_config"] = agent_config.configured(
        config,
        None,
        workspace_id="w1",
        agent_id="a1",
        sealer=SEALER,
        settings=settings,
        find_credential=lambda _: None,
    )
    return born


def of(found, settings):
    return spec.of(found, settings, lambda _: None)


def direct(settings, **changes):
    return settings.model_copy(update={"runtime_direct": True, **changes})


def own(settings, **more):
    return agent(
        settings,
        provider="openai",
        model="gpt-4o",
        api_key=OPENAI_KEY,
        keys={"anthropic": ANTHROPIC_KEY},
        **more,
    )


def test_our_door_is_its_only_provider_and_no_key_is_in_it(settings):
    found = of(own(settings), settings)
    assert list(found["providers"]) == ["vutler"]
    assert found["models"] == ["vutler/a1"]
    assert found["keys"] == []
    assert "sk-" not in json.dumps(found)
    (model,) = found["providers"]["vutler"]["models"]
    assert (model["id"], model["name"]) == ("a1", "openai/gpt-4o")
    assert model["contextWindow"] > 100_000
    assert model["maxTokens"] == 8192


def test_the_model_of_a_managed_tier_is_that_of_the_runtime(settings):
    found = of(agent(settings, managed=True, tier="standard"), settings)
    assert found["providers"]["vutler"]["models"][0]["name"] == "anthropic/claude-sonnet-4-5"


def test_a_window_that_nobody_knows_is_that_of_the_settings(settings):
    (model,) = of(agent(settings, provider="sandbox"), settings)["providers"]["vutler"]["models"]
    assert (model["contextWindow"], model["maxTokens"]) == (16_384, 4096)


@pytest.mark.parametrize(
    ("given", "door"),
    [
        ({}, "http://127.0.0.1:3001/v1"),
        ({"host": "0.0.0.0", "port": 80}, "http://127.0.0.1:80/v1"),
        ({"host": "192.0.2.7"}, "http://192.0.2.7:3001/v1"),
        ({"host": "[::]"}, "http://[::1]:3001/v1"),
        ({"runtime_door_url": "https://api.example.com/v1/"}, "https://api.example.com/v1"),
    ],
)
def test_the_door_is_where_the_api_listens_unless_it_is_given(settings, given, door):
    assert spec.door_url(settings.model_copy(update=given)) == door


def test_in_direct_mode_it_talks_to_vendors_and_finds_its_keys_in_variables(settings):
    found = of(own(settings), direct(settings))
    assert found["models"] == ["openai/gpt-4o"]
    assert found["providers"]["openai"]["apiKey"] == "${OPENAI_API_KEY}"
    assert "sk-" not in json.dumps(found)


def test_in_direct_mode_anthropic_is_spoken_natively(settings):
    asked = agent(
        settings, provider="anthropic", model="claude-sonnet-4-5", api_key=ANTHROPIC_KEY, fallback=[]
    )
    provider = of(asked, direct(settings))["providers"]["anthropic"]
    assert (provider["baseUrl"], provider["api"]) == ("https://api.anthropic.com", "anthropic-messages")


def opened(found, asked, settings):
    return spec.provider_keys(found, asked, sealer=SEALER, settings=settings, find_credential=lambda _: None)


def test_in_direct_mode_each_variable_holds_the_key_of_its_provider(settings):
    asked = own(settings, fallback=[{"provider": "anthropic"}])
    found = of(asked, direct(settings))
    assert opened(found, asked, direct(settings)) == {
        "OPENAI_API_KEY": OPENAI_KEY,
        "ANTHROPIC1_API_KEY": ANTHROPIC_KEY,
    }


def test_in_direct_mode_a_managed_tier_brings_the_operators_keys(settings):
    asked = agent(settings, managed=True, tier="standard")
    secrets = opened(of(asked, direct(settings)), asked, direct(settings))
    assert secrets == {"ANTHROPIC_API_KEY": MANAGED_KEY, "OPENAI1_API_KEY": MANAGED_KEY}


def test_a_key_that_is_gone_since_is_told(settings):
    found = of(own(settings, fallback=[]), direct(settings))
    other = agent(
        settings, provider="anthropic", model="claude-sonnet-4-5", api_key=ANTHROPIC_KEY, fallback=[]
    )
    with pytest.raises(JobFailed, match="the key for openai is gone: restart the agent"):
        opened(found, other, direct(settings))


def test_through_the_door_no_key_is_opened(settings):
    assert opened(of(own(settings), settings), own(settings), settings) == {}


@pytest.mark.parametrize("name", ["name", "system_prompt", "tools"])
def test_what_it_gets_of_its_agent_is_marked(settings, name):
    before, after = own(settings), {**own(settings), name: ["x"] if name == "tools" else "x"}
    assert spec.made_of(before, direct=False) != spec.made_of(after, direct=False)


def test_whatever_else_an_agent_has_is_not_marked(settings):
    before = own(settings)
    for row in fields.AGENT:
        if row.name not in ("system_prompt", "tools"):
            assert spec.made_of({**before, row.name: "x"}, direct=False) == spec.made_of(before, direct=False)


def test_a_new_key_is_marked_in_direct_mode_alone(settings):
    before, after = (
        own(settings),
        agent(
            settings,
            provider="openai",
            model="gpt-4o",
            api_key="sk-another-9876543210",
            keys={"anthropic": ANTHROPIC_KEY},
        ),
    )
    assert spec.made_of(before, direct=False) == spec.made_of(after, direct=False)
    assert spec.made_of(before, direct=True) != spec.made_of(after, direct=True)
