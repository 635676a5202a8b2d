"""Each parameter of a chat, by each road that leads to a provider, and what left the house on each wire."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from core.llm.parameters import PARAMETERS, PRESETS
from tests.providers.scripted import answering, provider
from tests.providers.vendors import WHOLE
from web.api import models
from web.doors.openai.views import Completion

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
LOOK = {"type": "function", "function": {"name": "look"}}
ANTHROPICS = [{"name": "look", "input_schema": {"type": "object"}}]
FORMAT = {"format": {"type": "json_schema", "schema": {"type": "object"}}}

RESPONSES_TOOLS = [{"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": False}]
RESPONSES_FORMAT = {"type": "json_schema", "name": "a", "schema": {"type": "object"}}
EXTRA = {"top_k": 5, "$a.b": [1]}

CONFIGS = {
    "openai": {"provider": "openai", "model": "gpt-4o-mini"},
    "anthropic": {"provider": "anthropic", "model": "claude-sonnet-4-5"},
    "responses": {"provider": "openai", "model": "gpt-4o-mini", "wire": "responses"},
}
ALWAYS = {"openai": {}, "anthropic": {"max_tokens": 8192}, "responses": {"store": False}}
LIMIT = {"openai": "max_tokens", "anthropic": "max_tokens", "responses": "max_output_tokens"}
NOT_PARAMETERS = ("model", "messages", "input")
"""What a body holds beside model and messages, though nothing was asked for."""


@dataclass(frozen=True)
class Case:
    """A value, and the fields of the body that it becomes; None: refused by name. `beside`: asked with it."""

    value: Any
    openai: Any
    anthropic: Any
    responses: Any
    beside: dict[str, Any] = field(default_factory=dict)


CASES = {
    "tools": Case([TOOL], {"tools": [TOOL]}, {"tools": ANTHROPICS}, {"tools": RESPONSES_TOOLS}),
    "tool_choice": Case(
        LOOK,
        {"tools": [TOOL], "tool_choice": LOOK},
        {"tools": ANTHROPICS, "tool_choice": {"type": "tool", "name": "look"}},
        {"tools": RESPONSES_TOOLS, "tool_choice": {"type": "function", "name": "look"}},
        beside={"tools": [TOOL]},
    ),
    "response_format": Case(
        SCHEMA, {"response_format": SCHEMA}, {"output_config": FORMAT}, {"text": {"format": RESPONSES_FORMAT}}
    ),
    "temperature": Case(1.5, {"temperature": 1.5}, {"temperature": 1.0}, {"temperature": 1.5}),
    "max_tokens": Case(17, {"max_tokens": 17}, {"max_tokens": 17}, {"max_output_tokens": 17}),
    "top_p": Case(0.5, {"top_p": 0.5}, {"top_p": 0.5}, {"top_p": 0.5}),
    "stop": Case("END", {"stop": "END"}, {"stop_sequences": ["END"]}, None),
    "seed": Case(3, {"seed": 3}, None, None),
    "prompt_cache": Case("1h", {}, {"cache_control": {"type": "ephemeral", "ttl": "1h"}}, {}),
    "presence_penalty": Case(0.5, {"presence_penalty": 0.5}, None, None),
    "frequency_penalty": Case(-0.5, {"frequency_penalty": -0.5}, None, None),
    "logit_bias": Case({"50256": -100}, {"logit_bias": {"50256": -100}}, None, None),
    "logprobs": Case(True, {"logprobs": True}, None, None),
    "top_logprobs": Case(2, {"top_logprobs": 2}, None, None),
    "parallel_tool_calls": Case(
        False,
        {"tools": [TOOL], "parallel_tool_calls": False},
        {"tools": ANTHROPICS, "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        {"tools": RESPONSES_TOOLS, "parallel_tool_calls": False},
        beside={"tools": [TOOL]},
    ),
    "reasoning_effort": Case(
        "low",
        {"reasoning_effort": "low"},
        {"thinking": {"type": "enabled", "budget_tokens": 2048}},
        {"reasoning": {"effort": "low"}},
    ),
    "verbosity": Case("low", {"verbosity": "low"}, None, {"text": {"verbosity": "low"}}),
    "service_tier": Case(
        "default", {"service_tier": "default"}, {"service_tier": "standard_only"}, {"service_tier": "default"}
    ),
    "prompt_cache_key": Case("a/c1", {"prompt_cache_key": "a/c1"}, {}, {"prompt_cache_key": "a/c1"}),
    "user": Case("u1", {"user": "u1"}, {"metadata": {"user_id": "u1"}}, {"user": "u1"}),
    "extra": Case(EXTRA, EXTRA, EXTRA, EXTRA),
}
NOTHING = {
    "stop": [],
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "logit_bias": {},
    "logprobs": False,
    "top_logprobs": 0,
    "verbosity": "medium",
    "tools": [],
    "tool_choice": "auto",
    "response_format": {"type": "text"},
    "parallel_tool_calls": True,
    "service_tier": "auto",
}
"""What clients send though nobody asked for it: the value that means the same as none."""
WIRES = sorted(CONFIGS)
NO_PARAMETERS = {"message", "messages", "conversation_id", "stream", "metadata", "callback_url", "priority"}
THE_DOORS_OWN = {"model", "messages", "n", "stream", "stream_options", "metadata", "priority"}
REFUSED_AT_THE_DOOR = {"functions", "function_call"}


@pytest.fixture(params=WIRES)
def wire(request):
    return request.param


@pytest.fixture
def asked(wire):
    """The provider that is asked: it keeps the bodies that it received."""
    with provider(answering(WHOLE[wire])) as running:
        yield running


@pytest.fixture
def config(wire, asked):
    return {**CONFIGS[wire], "custom_endpoint": asked.url}


@pytest.fixture
def agent(member, config, at_once):
    """An agent's id. Its jobs are carried out as soon as they are sent."""
    made = member.post("/agents", {"name": "scout", "llm_config": config})
    assert made.status_code == 201, made.text
    return made.json["id"]


def by_chat(member, agent, given):
    return member.post(f"/agents/{agent}/chat", {"message": "hello", **given})


def by_the_door(member, agent, given):
    body = {"model": agent, "messages": [{"role": "user", "content": "hello"}]}
    return member.post("/v1/chat/completions", {**body, **given})


ROADS = [by_chat, by_the_door]


def sent(asked):
    """What the one body that left the house says beside model and messages."""
    (received,) = asked.received
    return {name: value for name, value in received.body.items() if name not in NOT_PARAMETERS}


def left_as_expected(services, asked, wire, name):
    """What the one job of this test sent for a parameter; or that it was refused before anything was sent."""
    expected = getattr(CASES[name], wire)
    job = services.db.jobs.find_one()
    if expected is None:
        assert f"`{name}`" in job["error"]["detail"]
        assert asked.received == []
    else:
        assert job["status"] == "succeeded", job["error"]
        assert sent(asked) == {**ALWAYS[wire], **expected}


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_leaves_the_house_in_the_words_of_the_wire(
    member, agent, services, asked, wire, road, name
):
    case = CASES[name]
    road(member, agent, {name: case.value, **case.beside})
    left_as_expected(services, asked, wire, name)


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("name", NOTHING)
def test_a_value_that_asks_for_nothing_is_refused_by_nobody(member, agent, services, asked, road, name):
    road(member, agent, {name: NOTHING[name]})
    job = services.db.jobs.find_one()
    assert job["status"] == "succeeded", job["error"]


@pytest.mark.parametrize("road", ROADS)
def test_what_is_background_is_the_jobs_and_no_providers(member, agent, services, asked, wire, road):
    road(member, agent, {"priority": "background"})
    assert services.db.jobs.find_one()["priority"] == "background"
    assert sent(asked) == ALWAYS[wire]
    (shown,) = member.get("/jobs").json["items"]
    assert shown["priority"] == "background"


@pytest.mark.parametrize("name", PRESETS)
def test_what_an_agent_presets_leaves_the_house_too(member, agent, services, asked, wire, config, name):
    stored = member.put(f"/agents/{agent}/llm-config", {**config, name: CASES[name].value})
    assert stored.json[name] == CASES[name].value
    by_chat(member, agent, {})
    left_as_expected(services, asked, wire, name)


def test_what_a_chat_says_goes_before_what_its_agent_presets(member, agent, asked, wire, config):
    member.put(f"/agents/{agent}/llm-config", {**config, "temperature": 0.7, "max_tokens": 19})
    by_chat(member, agent, {"temperature": 0})
    assert sent(asked) == {**ALWAYS[wire], "temperature": 0, LIMIT[wire]: 19}


@pytest.mark.parametrize("name", sorted(PARAMETERS.keys() - set(PRESETS)))
def test_what_cannot_be_preset_is_refused_by_name(member, agent, config, name):
    refused = member.put(f"/agents/{agent}/llm-config", {**config, name: CASES[name].value})
    assert [place["pointer"] for place in refused.json["errors"]] == [f"/{name}"]


def test_the_door_takes_the_newer_name_of_the_limit_first(member, agent, asked, wire):
    by_the_door(member, agent, {"max_tokens": 19, "max_completion_tokens": 17})
    assert sent(asked) == {**ALWAYS[wire], LIMIT[wire]: 17}


def test_nothing_is_sent_that_nobody_asked_for(member, agent, asked, wire):
    by_chat(member, agent, {})
    assert sent(asked) == ALWAYS[wire]


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("name", ["model", "max_tokens", "max_completion_tokens", "messages", "n"])
def test_extra_replaces_nothing_that_is_counted_or_said_elsewhere(member, agent, services, asked, road, name):
    road(member, agent, {"extra": {name: 7}})
    assert f"`{name}`" in services.db.jobs.find_one()["error"]["detail"]
    assert asked.received == []


def test_what_the_door_does_not_know_it_names(member, agent, asked):
    answer = by_the_door(member, agent, {"a_field_of_tomorrow": 1, "store": True, "x,\ny": 2, "user": "u1"})
    assert answer.headers["X-Ignored"] == "a_field_of_tomorrow, store, x??y"
    assert sent(asked).get("store") is not True
    assert "X-Ignored" not in by_the_door(member, agent, {}).headers
    options = {"include_usage": True, "include_obfuscation": False}
    answer = by_the_door(member, agent, {"stream_options": options})
    assert answer.headers["X-Ignored"] == "stream_options.include_obfuscation"


def test_every_parameter_is_in_the_table_on_every_body_and_tried_here():
    aliases = {alias for parameter in PARAMETERS.values() for alias in parameter.aliases}
    assert set(models.Chat.model_fields) - NO_PARAMETERS == set(PARAMETERS)
    assert set(Completion.model_fields) - THE_DOORS_OWN - REFUSED_AT_THE_DOOR == set(PARAMETERS) | aliases
    assert set(models.LlmConfig.model_fields) & set(PARAMETERS) == set(PRESETS)
    assert set(CASES) == set(PARAMETERS)
