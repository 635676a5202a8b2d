"""The sandbox: an echo, a call of the first tool, and JSON by a schema, without a key and without a model."""

from __future__ import annotations

import json

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from werkzeug.test import Client

from core.sandbox import application

ASKED = [{"role": "user", "content": "Weather?"}]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": CITY}}
MAP = {"type": "function", "function": {"name": "map"}}
BY_SCHEMA = {"type": "json_schema", "json_schema": {"name": "place", "schema": CITY}}


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def ask(request):
    """The choice that the sandbox makes, as OpenAI's SDK reads it."""

    def ask(messages=ASKED, **more):
        answer = Client(application).post(
            "/v1/chat/completions", json={"messages": messages, "stream": request.param, **more}
        )
        assert answer.status_code == 200
        if not request.param:
            return ChatCompletion.model_validate(answer.json).choices[0]
        state = ChatCompletionStreamState()
        for line in answer.text.split("\n\n"):
            if line.startswith("data: {"):
                state.handle_chunk(ChatCompletionChunk.model_validate(json.loads(line[6:])))
        return state.get_final_completion().choices[0]

    return ask


def called(choice):
    return [(call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls]


def test_it_echoes_and_says_what_it_is(ask):
    choice = ask()
    assert choice.message.content == "[sandbox] No model was asked. You said: Weather?"
    assert choice.finish_reason == "stop"


def test_it_calls_the_first_tool_and_echoes_its_result(ask):
    choice = ask(tools=[WEATHER, MAP])
    assert (called(choice), choice.finish_reason) == ([("weather", {"city": ""})], "tool_calls")
    said = {"role": "assistant", "tool_calls": [choice.message.tool_calls[0].model_dump()]}
    result = {"role": "tool", "tool_call_id": choice.message.tool_calls[0].id, "content": "rain"}
    after = ask([*ASKED, said, result], tools=[WEATHER, MAP])
    assert after.message.content == "[sandbox] No model was asked. The tool said: rain"


def test_it_calls_the_tool_that_was_chosen_or_none(ask):
    chosen = {"type": "function", "function": {"name": "map"}}
    assert called(ask(tools=[WEATHER, MAP], tool_choice=chosen)) == [("map", {})]
    assert not ask(tools=[WEATHER, MAP], tool_choice="none").message.tool_calls


def test_of_very_many_tools_it_calls_one_only_where_it_must(ask):
    assert not ask(tools=[WEATHER] * 9).message.tool_calls
    assert called(ask(tools=[WEATHER] * 9, tool_choice="required")) == [("weather", {"city": ""})]


def test_it_keeps_a_schema(ask):
    assert json.loads(ask(response_format=BY_SCHEMA).message.content) == {"city": ""}
    assert json.loads(ask(response_format={"type": "json_object"}).message.content)


@pytest.mark.parametrize("body", [{}, {"messages": []}, {"messages": [7]}, {"messages": ASKED, "tools": [7]}])
def test_what_is_no_request_is_refused(body):
    assert Client(application).post("/v1/chat/completions", json=body).status_code == 400
