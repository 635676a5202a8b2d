"""Every exchange means what its file says, whole or streamed, however its bytes are cut."""

from __future__ import annotations

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter
from requests.structures import CaseInsensitiveDict

from core.llm import classify, providers
from core.llm.failures import ProviderError
from core.llm.types import Usage
from core.llm.wire import WIRES
from tests.core.llm.wire.replay import ANSWERS, EXCHANGES, events, named

LABELS = ("Recorded", "Written from the vendor's", "Written from an empty completion")
WHOLE = [name for name in named("body") if EXCHANGES[name]["status"] == 200]
REFUSED = [name for name in named("body") if EXCHANGES[name]["status"] != 200]
STREAMS = named("stream")
CUSTOM_ENDPOINTS = ("groq", "ollama", "lmstudio", "openrouter")
"""Those who speak OpenAI's format and have no row of their own."""


def check(answer, means):
    message, finish_reason, usage, raw, unknown = answer
    assert unknown == ()
    calls = [
        [call["id"], call["function"]["name"], call["function"]["arguments"]]
        for call in message["tool_calls"] or []
    ]
    assert message["content"] == means["content"]
    assert calls == means.get("tool_calls", [])
    assert message.get("reasoning") == means.get("reasoning")
    assert message.get("refusal") == means.get("refusal")
    assert message.get("thinking_blocks") == means.get("thinking_blocks")
    assert finish_reason == means["finish_reason"]
    assert usage == Usage(*means["usage"])
    assert raw is not None


def gathered(wire, exchange, size=1 << 20):
    """(stream, deltas, failure) of a streamed exchange."""
    stream, deltas = wire.Stream(), []
    try:
        for event in events(exchange, size):
            deltas += stream.feed(event)
    except ProviderError as error:
        return stream, deltas, error
    return stream, deltas, None


@pytest.mark.parametrize("name", EXCHANGES)
def test_each_says_where_it_comes_from(name):
    assert EXCHANGES[name]["source"].startswith(LABELS)


@pytest.mark.parametrize("vendor", sorted({*providers.vendors(), *CUSTOM_ENDPOINTS}))
def test_each_vendor_has_one_plain_one_with_tools_one_streamed_and_one_that_fails(vendor):
    names = [name for name, exchange in EXCHANGES.items() if exchange["vendor"] == vendor]
    assert {f"{vendor}-plain", f"{vendor}-tools", f"{vendor}-stream"} <= set(names)
    assert any("failure" in EXCHANGES[name]["means"] for name in names)


@pytest.mark.parametrize("name", ANSWERS)
def test_a_whole_answer(name):
    exchange = EXCHANGES[name]
    wire = WIRES[exchange["wire"]]
    assert wire.failure_inside(exchange["body"]) is None
    check(wire.from_wire(exchange["body"]), exchange["means"])


@pytest.mark.parametrize("name", [name for name in WHOLE if name not in ANSWERS])
def test_a_failure_inside_a_200(name):
    exchange = EXCHANGES[name]
    wire = WIRES[exchange["wire"]]
    failure = wire.failure_inside(exchange["body"])
    if failure is None:
        with pytest.raises(ProviderError) as raised:
            wire.from_wire(exchange["body"])
        failure = raised.value
    assert (failure.code, failure.http_status) == (exchange["means"]["failure"], 200)


@pytest.mark.parametrize("name", REFUSED)
def test_a_status_that_is_an_error(name):
    exchange = EXCHANGES[name]
    failure = classify.by_status(exchange["status"], exchange["body"], _headers(exchange))
    assert (failure.code, failure.http_status) == (exchange["means"]["failure"], exchange["status"])
    assert failure.retry_after == exchange["means"].get("retry_after")
    assert failure.detail


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("name", STREAMS)
def test_a_streamed_answer(name, size):
    exchange = EXCHANGES[name]
    means = exchange["means"]
    stream, deltas, failure = gathered(WIRES[exchange["wire"]], exchange, size)
    if means.get("failure") == "incomplete":
        assert (stream.complete, failure, deltas) == (False, None, [])
    elif "failure" in means:
        assert failure is not None
        assert (failure.code, len(deltas)) == (means["failure"], means["deltas"])
        assert not stream.complete
    else:
        assert failure is None
        assert stream.complete
        check(stream.answer(), means)


@pytest.mark.parametrize("name", [name for name in STREAMS if "failure" not in EXCHANGES[name]["means"]])
def test_the_deltas_joined_are_the_answer(name):
    exchange = EXCHANGES[name]
    stream, deltas, _ = gathered(WIRES[exchange["wire"]], exchange)
    message = stream.answer()[0]
    for kind, field in (("content", "content"), ("reasoning", "reasoning")):
        said = "".join(delta["content"] for delta in deltas if delta["type"] == kind)
        assert said.strip() == (message.get(field) or "")
    assert _joined(delta["tool_call"] for delta in deltas if delta["type"] == "tool_call") == (
        message["tool_calls"] or []
    )


@pytest.mark.parametrize("name", [name for name in ANSWERS if EXCHANGES[name]["wire"] == "openai"])
def test_the_openai_sdk_knows_the_answer(name):
    ChatCompletion.model_validate(EXCHANGES[name]["body"])


@pytest.mark.parametrize(
    "name",
    [n for n in STREAMS if EXCHANGES[n]["wire"] == "openai" and "failure" not in EXCHANGES[n]["means"]],
)
def test_the_openai_sdk_knows_the_chunks(name):
    for event in events(EXCHANGES[name]):
        if event != "[DONE]":
            ChatCompletionChunk.model_validate(event)


@pytest.mark.parametrize("name", [name for name in ANSWERS if EXCHANGES[name]["wire"] == "responses"])
def test_the_openai_sdk_knows_the_response(name):
    known = Response.model_validate(EXCHANGES[name]["body"])
    assert known.output_text == (EXCHANGES[name]["means"]["content"] or "")


@pytest.mark.parametrize("name", [name for name in STREAMS if EXCHANGES[name]["wire"] == "responses"])
def test_the_openai_sdk_knows_the_events(name):
    known = TypeAdapter(ResponseStreamEvent)
    told = [event for event in events(EXCHANGES[name]) if "error" not in event]
    assert [known.validate_python(event).type for event in told] == [event["type"] for event in told]
    assert told or "failure" in EXCHANGES[name]["means"]


@pytest.mark.parametrize("name", [name for name in ANSWERS if EXCHANGES[name]["wire"] == "anthropic"])
def test_the_anthropic_sdk_knows_the_answer(name):
    Message.model_validate(EXCHANGES[name]["body"])


@pytest.mark.parametrize("name", [name for name in STREAMS if EXCHANGES[name]["wire"] == "anthropic"])
def test_the_anthropic_sdk_knows_the_events(name):
    known = TypeAdapter(RawMessageStreamEvent)
    for event in events(EXCHANGES[name]):
        if event["type"] not in ("ping", "error"):
            known.validate_python(event)


def _headers(exchange):
    """Header names in any case, as a client of HTTP looks them up."""

    return CaseInsensitiveDict(exchange.get("headers", {}))


def _joined(pieces):
    """The tool calls, put together as the OpenAI SDK's users do it."""
    calls = {}
    for piece in pieces:
        call = calls.setdefault(
            piece["index"], {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        )
        call["id"] += piece.get("id", "")
        for field in ("name", "arguments"):
            call["function"][field] += piece["function"].get(field, "")
    return [calls[index] for index in sorted(calls)]
