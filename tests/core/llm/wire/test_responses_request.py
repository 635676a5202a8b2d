"""A request to OpenAI's Responses API, as the openai SDK's types know it."""

from __future__ import annotations

import pytest

from core.llm.failures import ProviderRefused
from core.llm.wire import responses
from tests.core.llm.wire import sdk
from tests.core.llm.wire.replay import RESPONSES, target
from tests.factory import asking

ASKED = [{"role": "user", "content": "Hello"}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": ""}}
TOOL = {"type": "function", "function": {"name": "get_weather"}}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


def wire(messages=ASKED, to=RESPONSES, **asked):
    body = responses.to_wire(asking(messages, **asked), to)
    assert sdk.known(sdk.RESPONSES, body) == body
    return body


def test_a_plain_chat_is_stored_nowhere():
    assert wire(system_prompt="Be brief.", max_tokens=900, temperature=0.5) == {
        "model": "gpt-5.6-terra",
        "input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
        "max_output_tokens": 900,
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }


def test_a_model_that_does_not_reason_takes_a_temperature_and_is_not_asked_for_reasoning():
    body = wire(to=target(wire="responses"), temperature=0.5, top_p=0.9, stream=True)
    assert (body["temperature"], body["top_p"], body["stream"]) == (0.5, 0.9, True)
    assert "include" not in body


def test_a_turn_of_everything():
    file = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}}
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}}
    text = {"type": "text", "text": "Look"}
    said = [
        {"role": "developer", "content": [text]},
        {"role": "user", "content": [text, picture, file]},
        {"role": "assistant", "content": [text], "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": [text, IMAGE]},
    ]
    looks = {"type": "input_text", "text": "Look"}
    assert wire(said)["input"] == [
        {"role": "developer", "content": [looks]},
        {
            "role": "user",
            "content": [
                looks,
                {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"},
                {"type": "input_file", **file["file"]},
            ],
        },
        {"type": "message", "role": "assistant", "content": "Look"},
        {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": "{}"},
        {
            "type": "function_call_output",
            "call_id": "call_1",
            "output": [
                looks,
                {"type": "input_image", "image_url": IMAGE["image_url"]["url"], "detail": "auto"},
            ],
        },
    ]


def test_tools_are_flat_and_not_strict_unless_they_say_so():
    schema = {"type": "object", "properties": {"at": {"type": "string"}}}
    strict = {"name": "now", "description": "The time", "parameters": schema, "strict": True}
    body = wire(tools=[TOOL, {"type": "function", "function": strict}], tool_choice="required")
    bare = {"type": "object", "properties": {}}
    assert body["tools"] == [
        {"type": "function", "name": "get_weather", "parameters": bare, "strict": False},
        {"type": "function", **strict},
    ]
    assert body["tool_choice"] == "required"


def test_a_choice_names_one_function_or_those_that_are_allowed():
    one = {"type": "function", "function": {"name": "get_weather"}}
    assert wire(tools=[TOOL], tool_choice=one)["tool_choice"] == {"type": "function", "name": "get_weather"}
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [one]}}
    assert wire(tools=[TOOL], tool_choice=allowed)["tool_choice"] == {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "function", "name": "get_weather"}],
    }


def test_json_by_schema():
    schema = {"name": "answer", "strict": True, "schema": {"type": "object"}}
    body = wire(response_format={"type": "json_schema", "json_schema": schema})
    assert body["text"] == {"format": {"type": "json_schema", **schema}}
    assert wire(response_format={"type": "json_object"})["text"] == {"format": {"type": "json_object"}}


def test_a_limit_that_is_too_small_to_be_taken_is_the_smallest():
    assert wire(max_tokens=5)["max_output_tokens"] == 16


@pytest.mark.parametrize(
    ("messages", "asked", "named"),
    [
        (ASKED, {"stop": ["END"]}, "`stop`"),
        (ASKED, {"seed": 7}, "`seed`"),
        (ASKED, {"tools": [{"type": "custom", "custom": {"name": "x"}}]}, r"tools\[0\]"),
        (ASKED, {"tools": [TOOL], "tool_choice": {"type": "custom"}}, "`tool_choice`"),
        ([{"role": "user", "content": [{"type": "input_audio"}]}], {}, r"input_audio part in messages\[0\]"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], {}, r"`url`: see messages\[0\]"),
        ([{"role": "user", "content": [{"type": "file"}]}], {}, r"`file_id`: see messages\[0\]"),
        ([{"role": "assistant", "content": [IMAGE]}], {}, r"image_url part from an assistant"),
        ([{"role": "assistant", "tool_calls": [{"id": "a", "type": "custom"}]}], {}, r"tool_calls\[0\]"),
        ([{"role": "function", "content": "x"}], {}, r"role like that of messages\[0\]"),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(messages, asked, named):
    with pytest.raises(ProviderRefused, match=named):
        wire(messages, **asked)
