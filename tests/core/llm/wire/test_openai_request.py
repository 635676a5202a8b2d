"""OpenAI's request, as the openai SDK's types know it, and the accents of those who copy it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.llm.failures import ProviderRefused
from core.llm.wire import openai, responses
from tests.core.llm.wire import sdk
from tests.core.llm.wire.replay import GPT, GROQ, MINIMAX, target
from tests.factory import asking

ASKED = [{"role": "user", "content": "Hello"}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}


def wire(messages=ASKED, to=GPT, **asked):
    body = openai.to_wire(asking(messages, **asked), to)
    assert sdk.known(sdk.OPENAI, body) == body
    return body


def test_a_plain_chat():
    body = wire(system_prompt="Be brief.", temperature=0.5, max_tokens=9)
    assert body == {
        "model": "gpt-4o-mini",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
        "temperature": 0.5,
        "max_tokens": 9,
    }


def test_the_key_goes_into_the_header_and_none_is_sent_where_there_is_none():
    assert openai.headers(GPT) == {"Authorization": "Bearer sk-test"}
    assert openai.headers(target(api_key=None, key_kind="custom")) == {}


def test_everything_at_once():
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]
    schema = {"name": "answer", "strict": True, "schema": {"type": "object"}}
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}}
    said = [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "name": "ada", "content": [{"type": "text", "text": "Look"}, picture]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "Sunny."},
    ]
    asked = {
        "tools": tools,
        "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
        "response_format": {"type": "json_schema", "json_schema": schema},
        "stop": ["END"],
        "seed": 7,
    }
    body = wire(said, stream=True, **asked)
    assert body["messages"] == said
    assert {name: body[name] for name in asked} == asked
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})


@pytest.mark.parametrize(
    "model", ["o1", "o3-mini", "gpt-5", "gpt-5.1-mini", "gpt-6-sol", "ft:o4-mini:acme::1"]
)
def test_a_reasoning_model_gets_its_own_limit_and_no_sampling(model):
    body = wire(to=target(model=model), temperature=0.5, top_p=0.5, max_tokens=9)
    assert body["max_completion_tokens"] == 9
    assert not {"max_tokens", "temperature", "top_p"} & set(body)


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4.1", "olmo-2", "o-series-of-somebody"])
def test_other_models_get_all_of_them(model):
    body = wire(to=target(model=model), temperature=0.5, top_p=0.4, max_tokens=9)
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.5, 0.4, 9)


@pytest.mark.parametrize(("asked", "sent"), [(0, 0.01), (0.4, 0.4), (2, 1.0)])
def test_minimaxs_temperature_is_above_0_and_at_most_1(asked, sent):
    assert wire(to=MINIMAX, temperature=asked)["temperature"] == sent


def test_openai_never_sees_the_fields_that_are_ours():
    said = {
        "role": "assistant",
        "content": "Hi",
        "name": None,
        "tool_calls": None,
        "refusal": None,
        "reasoning": "Be polite.",
        "reasoning_content": "Be polite.",
        "thinking_blocks": [{"type": "redacted_thinking", "data": "x"}],
    }
    assert wire([*ASKED, said])["messages"][1] == {"role": "assistant", "content": "Hi"}


def test_what_else_a_message_brings_goes_to_the_provider_as_it_is():
    said = [{"role": "user", "content": "Hello", "cache_control": {"type": "ephemeral"}}]
    assert openai.to_wire(asking(said), GPT)["messages"] == said


def test_a_refusal_goes_back_to_openai_and_is_what_was_said_elsewhere():
    said = [*ASKED, {"role": "assistant", "content": None, "refusal": "No."}]
    assert wire(said)["messages"][1] == {"role": "assistant", "content": None, "refusal": "No."}
    assert wire(said, GROQ)["messages"][1] == {"role": "assistant", "content": "No."}


def test_groq_never_sees_a_name():
    said = [{"role": "user", "name": "ada", "content": "Hello"}]
    with pytest.raises(ProviderRefused, match="`name`"):
        wire(said, GROQ)
    assert wire(said)["messages"] == said
    elsewhere = target(base_url="https://notgroq.com/v1", key_kind="custom")
    assert wire(said, elsewhere)["messages"] == said


def test_minimax_gets_its_thoughts_back():
    said = [*ASKED, {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning": "Look it up."}]
    assert wire(said, MINIMAX)["messages"][1] == {
        "role": "assistant",
        "content": "<think>\nLook it up.\n</think>\n\n",
        "tool_calls": [CALL],
    }


def test_what_a_custom_endpoint_added_to_a_call_goes_back_to_it_alone():
    signed = {**CALL, "extra_content": {"google": {"thought_signature": "x"}}}
    said = [*ASKED, {"role": "assistant", "content": None, "tool_calls": [signed]}]
    custom = target(base_url="https://example.com/v1", key_kind="custom")
    back = openai.to_wire(asking(said), custom)["messages"][1]
    assert back["tool_calls"] == [signed]
    assert wire(said)["messages"][1]["tool_calls"] == [CALL]


def test_parameters_without_a_type_are_an_objects():
    function = {"name": "look", "parameters": {"properties": {}}}
    body = wire(
        tools=[{"type": "function", "function": function}, {"type": "function", "function": {"name": "n"}}]
    )
    assert [tool["function"].get("parameters") for tool in body["tools"]] == [
        {"type": "object", "properties": {}},
        None,
    ]


def test_the_developer_is_the_system_to_all_but_openai():
    said = [{"role": "developer", "content": "Be kind."}, *ASKED]
    assert [message["role"] for message in wire(said)["messages"]] == ["developer", "user"]
    custom = target(base_url="https://example.com/v1", key_kind="custom")
    for other in (MINIMAX, GROQ, custom):
        assert [message["role"] for message in wire(said, other)["messages"]] == ["system", "user"]


def test_a_calls_place_in_a_stream_does_not_go_back():
    said = [*ASKED, {"role": "assistant", "content": None, "tool_calls": [{"index": 0, **CALL}]}]
    for to in (GPT, target(base_url="https://example.com/v1", key_kind="custom")):
        assert openai.to_wire(asking(said), to)["messages"][1]["tool_calls"] == [CALL]


def test_marks_of_what_to_cache_are_anthropics_and_go_to_custom_endpoints_alone():
    mark = {"cache_control": {"type": "ephemeral"}}
    tool = {"type": "function", "function": {"name": "now"}}
    said = [{"role": "user", "content": [{"type": "text", "text": "Hi", **mark}]}]
    body = wire(said, tools=[{**tool, **mark}], prompt_cache="1h")
    assert body["messages"][0]["content"] == [{"type": "text", "text": "Hi"}]
    assert body["tools"] == [tool]
    body = openai.to_wire(asking(said, tools=[{**tool, **mark}]), GROQ)
    assert (body["messages"][0]["content"], body["tools"]) == (said[0]["content"], [{**tool, **mark}])


def test_requests_that_begin_alike_say_so_to_openai_alone():
    request = replace(asking(ASKED), cache_key="abc")
    for spoken in (openai, responses):
        assert spoken.to_wire(request, GPT)["prompt_cache_key"] == "abc"
        for other in (GROQ, MINIMAX):
            assert "prompt_cache_key" not in spoken.to_wire(request, other)
