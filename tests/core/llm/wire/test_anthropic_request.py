"""From OpenAI's format to Anthropic's request, as the anthropic SDK's types know it."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from core.llm.failures import ProviderRefused
from core.llm.wire import anthropic
from tests.core.llm.wire import sdk
from tests.core.llm.wire.replay import CLAUDE, target
from tests.factory import asking

ASKED = [{"role": "user", "content": "Hello"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a place.",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    },
}
PIXEL = "iVBORw0KGgo="


def wire(messages=ASKED, to=CLAUDE, **asked):
    """The body, which the SDK knows in full: all but the sampling, which its newer version has no more."""
    body = anthropic.to_wire(asking(messages, **asked), to)
    sent = {name: value for name, value in body.items() if name not in ("temperature", "top_p")}
    assert sdk.known(sdk.ANTHROPIC, sent) == sent
    return body


def call(arguments, id="call_1", name="get_weather"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


SIGNED = {"type": "thinking", "thinking": "Look.", "signature": "sig"}


def text(said):
    return {"type": "text", "text": said}


def test_the_check_itself_fails_for_a_field_or_a_block_that_anthropic_does_not_know():
    body = anthropic.to_wire(asking(ASKED), CLAUDE)
    assert sdk.known(sdk.ANTHROPIC, {**body, "seed": 1}) != {**body, "seed": 1}
    with pytest.raises(ValidationError):
        sdk.known(sdk.ANTHROPIC, {**body, "messages": [{"role": "tool", "content": 7}]})


def test_a_plain_chat():
    assert wire() == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 8192,
        "messages": [{"role": "user", "content": [text("Hello")]}],
        "cache_control": {"type": "ephemeral"},
    }


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("auto", {"type": "ephemeral"}),
        ("5m", {"type": "ephemeral", "ttl": "5m"}),
        ("1h", {"type": "ephemeral", "ttl": "1h"}),
        ("off", None),
    ],
)
def test_a_prompt_is_cached_as_the_agent_says(asked, sent):
    assert wire(prompt_cache=asked).get("cache_control") == sent


def test_a_custom_endpoint_is_asked_to_cache_only_by_name():
    to = target("anthropic", "claude-sonnet-4-5", key_kind="custom")
    assert "cache_control" not in wire(to=to)
    assert "cache_control" not in wire(to=to, prompt_cache="auto")
    assert wire(to=to, prompt_cache="1h")["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


def test_a_clients_own_marks_are_passed_on_and_are_the_only_ones():
    hour, five = {"type": "ephemeral", "ttl": "1h"}, {"type": "ephemeral"}
    rules = [{**text("Be brief."), "cache_control": hour}, text("Be kind.")]
    said = [
        {"role": "system", "content": rules},
        {"role": "user", "content": [{**text("Hi"), "cache_control": five}]},
    ]
    body = wire(said, tools=[{**WEATHER, "cache_control": hour}], prompt_cache="5m")
    assert body["system"] == rules
    assert body["messages"][0]["content"] == [{**text("Hi"), "cache_control": five}]
    assert body["tools"][0]["cache_control"] == hour
    assert "cache_control" not in body
    within = {"type": "function", "function": {**WEATHER["function"], "cache_control": hour}}
    assert wire(tools=[within])["tools"][0]["cache_control"] == hour
    odd = [{"role": "user", "content": [{**text("Hi"), "cache_control": {"type": "forever"}}]}]
    assert wire(odd)["messages"][0]["content"] == [text("Hi")]


def test_the_key_and_the_version_go_into_the_headers():
    assert anthropic.headers(CLAUDE) == {"x-api-key": "sk-test", "anthropic-version": "2023-06-01"}
    keyless = target("anthropic", api_key=None, key_kind="custom")
    assert anthropic.headers(keyless) == {"anthropic-version": "2023-06-01"}


def test_the_limit_of_the_agent_is_kept():
    assert wire(max_tokens=16)["max_tokens"] == 16


def test_system_and_developer_messages_are_gathered_in_front():
    said = [
        {"role": "system", "content": "Be brief."},
        *ASKED,
        {"role": "developer", "content": [text("Be kind."), text("Be right.")]},
    ]
    body = wire(said, system_prompt="Not this one: the messages bring their own.")
    assert body["system"] == "Be brief.\n\nBe kind.\n\nBe right."
    assert body["messages"] == [{"role": "user", "content": [text("Hello")]}]
    assert wire(system_prompt="Be brief.")["system"] == "Be brief."


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ("It is \n", [text("It is")]),
        ([text("It "), text("is ")], [text("It "), text("is")]),
        ("It is", [text("It is")]),
    ],
)
def test_the_beginning_of_an_answer_does_not_end_with_white_space(said, sent):
    begun = [{"role": "user", "content": "What is it? "}, {"role": "assistant", "content": said}]
    assert wire(begun[:1])["messages"][-1]["content"] == [text("What is it? ")]
    assert wire(begun)["messages"][-1] == {"role": "assistant", "content": sent}
    (asked, answered, _) = wire([*begun, *ASKED])["messages"]
    assert asked["content"] == [text("What is it? ")]
    assert answered["content"] == ([text(said)] if isinstance(said, str) else said)


@pytest.mark.parametrize("schema", [{"properties": {}}, {"type": None, "properties": {}}])
def test_the_parameters_of_a_tool_are_an_objects(schema):
    tool = {"type": "function", "function": {"name": "now", "parameters": schema}}
    assert wire(tools=[tool])["tools"][0]["input_schema"] == {"type": "object", "properties": {}}


def test_images_and_files():
    parts = [
        text("What is this?"),
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "auto"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.jpg"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PIXEL}"}},
    ]
    assert wire([{"role": "user", "content": parts}])["messages"][0]["content"] == [
        text("What is this?"),
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/cat.jpg"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": PIXEL},
            "title": "a.pdf",
        },
    ]


def test_tools_calls_and_results():
    said = [
        *ASKED,
        {
            "role": "assistant",
            "content": "Let me look.",
            "tool_calls": [call('{"place": "Bonn"}'), call("", "b")],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "Sunny."},
        {"role": "tool", "tool_call_id": "b", "content": [text("Rainy.")]},
        {"role": "user", "content": "And now?"},
    ]
    body = wire(said, tools=[WEATHER])
    assert body["tools"] == [
        {
            "name": "get_weather",
            "description": "The weather of a place.",
            "input_schema": WEATHER["function"]["parameters"],
        }
    ]
    assert body["messages"] == [
        {"role": "user", "content": [text("Hello")]},
        {
            "role": "assistant",
            "content": [
                text("Let me look."),
                {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"place": "Bonn"}},
                {"type": "tool_use", "id": "b", "name": "get_weather", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": [text("Sunny.")]},
                {"type": "tool_result", "tool_use_id": "b", "content": [text("Rainy.")]},
                text("And now?"),
            ],
        },
    ]


def test_another_vendors_ids_become_ids_that_anthropic_takes():
    said = [
        *ASKED,
        {"role": "assistant", "content": None, "tool_calls": [call("{}", "functions.get_weather:0")]},
        {"role": "tool", "tool_call_id": "functions.get_weather:0", "content": ""},
    ]
    _, assistant, result = wire(said)["messages"]
    assert assistant["content"][0]["id"] == "functions_get_weather_0"
    assert result["content"] == [{"type": "tool_result", "tool_use_id": "functions_get_weather_0"}]


def test_an_assistant_who_said_nothing_is_left_out():
    said = [*ASKED, {"role": "assistant", "content": ""}, {"role": "user", "content": "Well?"}]
    assert wire(said)["messages"] == [{"role": "user", "content": [text("Hello"), text("Well?")]}]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("auto", {"type": "auto"}),
        ("required", {"type": "any"}),
        ("none", {"type": "none"}),
        ({"type": "function", "function": {"name": "get_weather"}}, {"type": "tool", "name": "get_weather"}),
    ],
)
def test_the_choice_of_a_tool(given, sent):
    assert wire(tools=[WEATHER], tool_choice=given)["tool_choice"] == sent


def test_a_strict_tool_stays_strict_and_one_without_parameters_has_none():
    strict = {"type": "function", "function": {"name": "now", "strict": True}}
    assert wire(tools=[strict])["tools"] == [
        {"name": "now", "input_schema": {"type": "object", "properties": {}}, "strict": True}
    ]


def test_parameters_without_a_type_are_an_objects():
    place = {"place": {"type": "string"}}
    tool = {"type": "function", "function": {"name": "look", "parameters": {"properties": place}}}
    assert wire(tools=[tool])["tools"][0]["input_schema"] == {"type": "object", "properties": place}


@pytest.mark.parametrize("blank", [" ", "\n\t "])
def test_text_of_white_space_alone_is_left_out(blank):
    said = [{"role": "system", "content": blank}, {"role": "user", "content": [text(blank), text("Hello")]}]
    body = wire(said)
    assert "system" not in body
    assert body["messages"] == [{"role": "user", "content": [text("Hello")]}]
    assert "system" not in wire(system_prompt=blank)


def test_json_by_a_schema():
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    asked = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
    assert wire(response_format=asked)["output_config"] == {
        "format": {"type": "json_schema", "schema": schema}
    }
    assert "output_config" not in wire(response_format={"type": "text"})


def test_stop_sequences():
    assert wire(stop="END")["stop_sequences"] == ["END"]
    assert wire(stop=["a", "b"])["stop_sequences"] == ["a", "b"]


@pytest.mark.parametrize(
    "model",
    [
        "claude-3-5-haiku-latest",
        "claude-3-7-sonnet-20250219",
        "claude-opus-4-20250514",
        "claude-opus-4-1",
        "claude-sonnet-4-5-20250929",
        "claude-opus-4-6",
        "anthropic/claude-haiku-4-5",
        "MiniMax-M2.5",
    ],
)
def test_the_temperature_of_a_model_that_takes_one_is_at_most_1(model):
    to = target("anthropic", model)
    assert wire(to=to, temperature=0)["temperature"] == 0
    assert wire(to=to, temperature=1.7)["temperature"] == 1.0


@pytest.mark.parametrize(
    "model",
    ["claude-opus-4-7", "claude-opus-4-8-20260601", "claude-opus-5", "claude-sonnet-5-5", "claude-fable-5-1"],
)
def test_a_model_that_takes_no_temperature_gets_none(model):
    assert "temperature" not in wire(to=target("anthropic", model), temperature=0.2)
    assert "top_p" not in wire(to=target("anthropic", model), top_p=0.2)


@pytest.mark.parametrize(
    "model", ["claude-opus-4-1-20250805", "claude-sonnet-4-5", "claude-haiku-4-5", "claude-opus-4-6"]
)
def test_a_model_that_takes_one_of_temperature_and_top_p_gets_the_temperature(model):
    to = target("anthropic", model)
    both = wire(to=to, temperature=0, top_p=0.2)
    assert (both["temperature"], "top_p" in both) == (0, False)
    assert wire(to=to, top_p=0.2)["top_p"] == 0.2


@pytest.mark.parametrize(
    "model",
    [
        "claude-3-7-sonnet-latest",
        "claude-opus-4-20250514",
        "claude-sonnet-4@20250514",
        "claude-sonnet-4-0",
        "M2",
    ],
)
def test_an_older_model_and_anothers_get_both(model):
    both = wire(to=target("anthropic", model), temperature=0.5, top_p=0.2)
    assert (both["temperature"], both["top_p"]) == (0.5, 0.2)


def test_a_streamed_chat():
    assert wire(stream=True)["stream"] is True


AUDIO = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"seed": 7}, "no seed"),
        ({"response_format": {"type": "json_object"}}, "json_schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "with a schema"),
        ({"response_format": {"type": "grammar"}}, "text, or as json_schema"),
        ({"stop": ["\n"]}, "white space"),
        ({"tools": [{"type": "web_search"}]}, r"tools\[0\]"),
        ({"tool_choice": "required"}, "no `tools`"),
        ({"tools": [WEATHER], "tool_choice": {"type": "allowed_tools"}}, "auto, required, none"),
        ({"messages": [{"role": "system", "content": "Be brief."}]}, "at least one message"),
        ({"messages": [{"role": "function", "content": "x"}]}, r"messages\[0\]"),
        ({"messages": [{"role": "user", "content": [AUDIO]}]}, r"input_audio part in messages\[0\]"),
        (
            {"messages": [*ASKED, {"role": "assistant", "tool_calls": [call("{")]}]},
            r"messages\[1\].tool_calls\[0\]",
        ),
        ({"messages": [*ASKED, {"role": "assistant", "tool_calls": [call("[]")]}]}, "JSON object"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "ftp://a"}}]}
                ]
            },
            "https",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]},
            "PDF",
        ),
    ],
)
def test_what_anthropic_cannot_do_is_refused_in_plain_words(asked, words):
    with pytest.raises(ProviderRefused, match=words) as raised:
        anthropic.to_wire(asking(**{"messages": ASKED, **asked}), CLAUDE)
    assert not raised.value.possibly_charged
    assert raised.value.http_status is None


@pytest.mark.parametrize(("blocks", "thinks"), [([SIGNED], True), ([], False)])
def test_it_does_not_think_where_a_result_follows_a_call_without_thinking(blocks, thinks):
    called = {"role": "assistant", "content": None, "tool_calls": [call("{}")], "thinking_blocks": blocks}
    result = {"role": "tool", "tool_call_id": "call_1", "content": "dry"}
    asked = {"reasoning_effort": "low", "tools": [WEATHER]}
    assert ("thinking" in wire([*ASKED, called, result], **asked)) == thinks
    assert "thinking" in wire(
        [*ASKED, called, result, {"role": "assistant", "content": "Dry."}, *ASKED], **asked
    )


@pytest.mark.parametrize(
    "arguments",
    ["[]", "{", '{"a": NaN}', '{"a": [-Infinity]}', '{"a": 1e400}', "[" * 99_999],
    ids=lambda arguments: arguments[:20],
)
def test_arguments_that_are_no_json_object_are_refused_in_words(arguments):
    asked = [{"role": "assistant", "content": None, "tool_calls": [call(arguments)]}]
    with pytest.raises(ProviderRefused, match=r"messages\[0\].tool_calls\[0\]"):
        wire(asked)


def test_numbers_in_arguments_are_sent_as_they_are():
    said = '{"a": 1e-05, "b": -0.0, "c": 9007199254740993, "d": 1.0}'
    body = wire([{"role": "assistant", "content": None, "tool_calls": [call(said)]}])
    assert json.dumps(body["messages"][0]["content"][0]["input"]) == said
