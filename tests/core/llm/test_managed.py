"""Managed keys: on no job, in no store, sent to their own provider's address alone."""

import os

import pytest
from pydantic import ValidationError

from core.agents import agent_config
from core.config import Settings
from core.crypto import Sealer
from core.errors import Invalid, KeyRequired
from core.llm import managed, plan
from core.llm.keyring import Keyring, is_keyed
from core.llm.managed import BadManagedKeys

SEALER = Sealer(os.urandom(32))
OWN = {"provider": "openai", "model": "gpt-4o", "api_key": "sk-mine-0123456789"}
OURS = {"openai": "sk-ours-openai", "minimax": "sk-ours-minimax"}
SETTINGS = Settings(managed_llm_keys=OURS)


def configured(given, settings=SETTINGS, stored=None):
    return agent_config.configured(
        given,
        stored,
        workspace_id="w1",
        agent_id="a1",
        sealer=SEALER,
        settings=settings,
        find_credential=lambda name: None,
    )


def targets(given, settings=SETTINGS):
    return plan.make("a1", configured(given, settings), settings=settings, find_credential=lambda name: None)


def sent(made, settings=SETTINGS):
    """(provider, model, address, key, tier) of each call that a worker would make."""
    keyring = Keyring("w1", "a1", lambda: configured(OWN), lambda name: None, SEALER, settings)
    found = [target.with_key() for target in plan.targets(made, keyring)]
    return [(t.provider, t.model, t.base_url, t.api_key, t.tier) for t in found]


def test_provider_and_model_come_from_the_tier_and_so_does_the_chain():
    made = targets({"managed": True, "tier": "standard"})
    assert sent(made) == [
        ("openai", "gpt-4o-mini", "https://api.openai.com/v1", "sk-ours-openai", "standard"),
        ("minimax", "MiniMax-M2.5", "https://api.minimax.io/v1", "sk-ours-minimax", "standard"),
    ]
    shown = agent_config.public(configured({"managed": True, "tier": "standard"}))
    assert (shown["provider"], shown["model"], shown["hasKey"]) == ("openai", "gpt-4o-mini", False)


def test_only_providers_with_a_managed_key_are_in_the_chain():
    one = Settings(managed_llm_key="sk-one", managed_llm_provider="openai")
    assert [target[:2] for target in sent(targets({"managed": True, "tier": "premium"}, one), one)] == [
        ("openai", "gpt-4o")
    ]


def test_no_managed_key_is_on_a_job_or_in_a_configuration():
    made = targets({"managed": True, "tier": "economy"})
    assert [is_keyed(target) for target in made] == [False, False]
    assert "sk-ours" not in str(made) + str(configured({"managed": True, "tier": "economy"})) + repr(SETTINGS)


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"tier": None}, "/tier"),
        ({"tier": "gold"}, "/tier"),
        ({"model": "gpt-4o"}, "/model"),
        ({"provider": "anthropic"}, "/provider"),
        ({"api_key": "sk-mine-0123456789"}, "/api_key"),
        ({"custom_endpoint": "https://example.com/v1"}, "/custom_endpoint"),
        ({"fallback": [{"provider": "openai", "model": "gpt-4o"}]}, "/fallback"),
        ({"wire": "responses"}, "/wire"),
    ],
)
def test_what_a_managed_tier_brings_itself_is_refused(given, pointer):
    with pytest.raises(Invalid) as refused:
        configured({"managed": True, "tier": "standard", **given})
    assert refused.value.errors[0]["pointer"] == pointer


def test_a_tier_without_a_key_is_refused_where_it_is_chosen():
    with pytest.raises(Invalid) as refused:
        configured({"managed": True, "tier": "economy"}, Settings(managed_llm_keys={"openai": "sk-1"}))
    assert refused.value.code == "tier_not_configured"


def test_managed_keys_follow_a_users_own_only_if_the_agent_says_so():
    for unasked in (OWN, {**OWN, "tier": "economy"}):
        assert [key for *_, key, _ in sent(targets(unasked))] == ["sk-mine-0123456789"]
    both = sent(targets({**OWN, "allow_managed_fallback": True, "tier": "economy"}))
    assert [(model, key, tier) for _, model, _, key, tier in both] == [
        ("gpt-4o", "sk-mine-0123456789", None),
        ("MiniMax-M2.5", "sk-ours-minimax", "economy"),
        ("gpt-4o-mini", "sk-ours-openai", "economy"),
    ]
    with pytest.raises(Invalid) as refused:
        configured({**OWN, "allow_managed_fallback": True})
    assert refused.value.errors[0]["pointer"] == "/tier"


def test_a_managed_key_goes_to_no_other_address():
    made = targets({"managed": True, "tier": "standard"})
    made[0]["base_url"] = "https://example.com/v1"
    assert [provider for provider, *_ in sent(made)] == ["minimax"]
    made[1]["provider"] = "openai"
    with pytest.raises(KeyRequired):
        sent(made)


def test_a_key_that_is_gone_since_is_left_out():
    made = targets({"managed": True, "tier": "standard"})
    rest = Settings(managed_llm_keys={"minimax": "sk-ours-minimax"})
    assert [provider for provider, *_ in sent(made, rest)] == ["minimax"]
    with pytest.raises(KeyRequired):
        sent(made, Settings())
    config = configured({"managed": True, "tier": "standard"})
    with pytest.raises(Invalid):
        plan.make("a1", config, settings=Settings(), find_credential=lambda name: None)


def test_a_call_without_anybody_to_ask_is_not_told_of_a_managed_key():
    with pytest.raises(KeyRequired, match="without a provider to ask"):
        sent([])


def test_the_operator_may_name_another_address_for_managed_calls():
    other = Settings(managed_llm_keys=OURS, managed_llm_urls={"minimax": "https://api.minimaxi.com/v1/"})
    first = sent(targets({"managed": True, "tier": "economy"}, other), other)[0]
    assert first[2:4] == ("https://api.minimaxi.com/v1", "sk-ours-minimax")


def test_from_managed_to_an_own_key_the_key_must_be_given():
    stored = configured({"managed": True, "tier": "economy"})
    with pytest.raises(KeyRequired):
        configured({"provider": "minimax"}, stored=stored)


def test_settings_are_read_as_json_and_a_bad_one_is_not_quoted(monkeypatch):
    monkeypatch.setenv("MANAGED_LLM_KEYS", '{"openai": "sk-secret"}')
    assert managed.keys(Settings())["openai"].get_secret_value() == "sk-secret"
    for broken in ('{"openai": "sk-secret"', '["sk-secret"]', '{"openai": ["sk-secret"]}'):
        monkeypatch.setenv("MANAGED_LLM_KEYS", broken)
        with pytest.raises(ValidationError) as refused:
            Settings()
        assert "sk-secret" not in str(refused.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"managed_llm_key": "sk-1"},
        {"managed_llm_provider": "openai"},
        {"managed_llm_keys": {"grok": "sk-1"}},
        {"managed_llm_urls": {"grok": "https://example.com"}},
    ],
)
def test_settings_that_can_never_work_are_refused_at_start(settings):
    with pytest.raises(BadManagedKeys):
        managed.check(Settings(**settings))


def test_an_agents_process_asks_the_model_of_its_tier_for_processes():
    settings = Settings(managed_llm_keys={**OURS, "anthropic": "sk-ours-anthropic"})
    named = {
        runtime: managed.targets("standard", settings, runtime=runtime)[0]["model"]
        for runtime in (False, True)
    }
    assert named == {False: "gpt-4o-mini", True: "claude-sonnet-4-5"}
