"""More of what people reported of providers in 2025 and 2026, and what a client is told of it, by every road.

Beside each case stands one of its public reports, read 2026-11.
"""

from __future__ import annotations

import pytest

from tests.providers.said import DONE, USAGE, d, whole
from tests.providers.scripted import answering, streaming
from tests.web.asking import HELLO, ROADS, ask

STREAMED = ["api-stream", "door-stream"]
A = '{"path":"a.rs"}'
SIGNED = {"extra_content": {"google": {"thought_signature": "c2VhbGVk"}}}


@pytest.fixture
def agent(vendors_agent):
    return vendors_agent


def called(arguments=A, **more):
    """A call without an index, as Google tells it."""
    return {"id": "call_a", "type": "function", "function": {"name": "read", "arguments": arguments}, **more}


def says(vendor, road, *pieces, finish="tool_calls"):
    """One call, in these pieces if it is streamed; else the first of them is all of it."""
    if road in STREAMED:
        vendor.says(streaming(*(d(tool_calls=[one]) for one in pieces), d(finish), DONE), whole(content="Ok"))
    else:
        vendor.says(whole(finish, content=None, tool_calls=[pieces[0]]), whole(content="Ok"))


def words(told):
    return told.error.get("detail") or told.error["message"]


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize(
    "pieces",
    [
        [called(**SIGNED)],
        [called(**SIGNED), {"id": "call_a", "function": {"arguments": ""}, **SIGNED}],
    ],
)
def test_googles_signature_of_a_call_comes_back_with_it(member, agent, vendor, road, pieces):
    """https://github.com/open-webui/computer/issues/224, https://github.com/THU-MAIC/OpenMAIC/issues/1556"""
    says(vendor, road, *pieces, finish="stop")
    said = ask(member, agent, road).message
    result = {"role": "tool", "tool_call_id": "call_a", "content": "fn main() {}"}
    assert ask(member, agent, road.removesuffix("-stream"), [*HELLO, said, result]).error is None
    (back,) = vendor.received[1].body["messages"][1]["tool_calls"]
    assert back == called(**SIGNED)


@pytest.mark.parametrize("road", STREAMED)
def test_a_signature_that_comes_after_its_call_is_its_own(member, agent, vendor, road):
    """https://github.com/open-webui/computer/issues/224: a piece of nothing else."""
    says(vendor, road, called(), SIGNED)
    (call,) = ask(member, agent, road).message["tool_calls"]
    assert call["extra_content"] == SIGNED["extra_content"]


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (None, "{}"),  # https://github.com/pydantic/pydantic-ai/issues/822
        ({"path": "a.rs"}, '{"path": "a.rs"}'),  # https://github.com/microsoft/autogen/pull/5260
    ],
)
def test_arguments_are_a_text_whatever_they_came_as(member, agent, vendor, road, arguments, told):
    says(vendor, road, {"index": 0, **called(arguments)})
    assert ask(member, agent, road).calls == [("call_a", "read", told)]


@pytest.mark.parametrize("road", STREAMED)
@pytest.mark.parametrize("kind", [{}, {"type": ""}, {"type": None}])
def test_a_call_whose_type_comes_late_is_a_functions(member, agent, vendor, road, kind):
    """https://github.com/vercel/ai/issues/5350"""
    head = {"index": 0, "id": "call_a", "function": {"name": "read", "arguments": A[:5]}, **kind}
    says(vendor, road, head, {"index": 0, "type": "function", "function": {"arguments": A[5:]}})
    (call,) = ask(member, agent, road).message["tool_calls"]
    assert (call["type"], call["function"]) == ("function", {"name": "read", "arguments": A})


@pytest.mark.parametrize("road", STREAMED)
def test_calls_without_any_reason_to_finish_end_with_tool_calls(member, agent, vendor, road):
    """https://github.com/ogx-ai/ogx/pull/2114, https://github.com/vllm-project/vllm/issues/27572"""
    vendor.says(streaming(d(tool_calls=[{"index": 0, **called()}]), DONE))
    told = ask(member, agent, road)
    assert (told.calls, told.finish) == ([("call_a", "read", A)], "tool_calls")


@pytest.mark.parametrize("road", STREAMED)
def test_a_chunk_may_finish_and_say_the_last_word(member, agent, vendor, road):
    """https://github.com/vllm-project/vllm/issues/35705"""
    vendor.says(streaming(d(content="one "), d("length", content="two"), DONE))
    told = ask(member, agent, road)
    assert (told.message["content"], told.finish) == ("one two", "length")


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("finish", ["stop", "length"])
def test_thoughts_alone_are_an_answer(member, agent, vendor, road, finish):
    """https://github.com/ollama/ollama/issues/15288: the limit was used up by them."""
    said = {"content": "", "reasoning": "The capital is"}
    vendor.says(streaming(d(**said), d(finish), DONE) if road in STREAMED else whole(finish, **said))
    told = ask(member, agent, road)
    assert (told.error, told.reasoning, told.finish) == (None, "The capital is", finish)
    assert not told.message.get("content")


@pytest.mark.parametrize("road", ROADS)
def test_the_error_of_a_choice_beside_its_text_is_no_success(member, agent, vendor, road):
    """https://github.com/genkit-ai/genkit/pull/6259: a gateway that lost its upstream part way."""
    lost = {"index": 0, "finish_reason": "network_error", "error": {"code": 502, "message": "upstream lost"}}
    if road in STREAMED:
        vendor.says(streaming(d(content="It beg"), {"choices": [{**lost, "delta": {}}]}, DONE))
    else:
        vendor.says(answering({"choices": [{**lost, "message": {"content": "It beg"}}]}))
    told = ask(member, agent, road)
    assert told.error["code"] in ("stream_broken", "provider_busy")
    assert "upstream lost" in words(told)
    assert told.partial == ("It beg" if road in STREAMED else None)


@pytest.mark.parametrize("road", ROADS)
def test_an_answer_without_a_name_or_a_model_is_an_answer(member, agent, vendor, road):
    """https://github.com/BerriAI/litellm/issues/15133, https://github.com/pydantic/pydantic-ai/issues/3581"""
    bare = {"id": None, "model": None, "created": None}
    choice = {"index": 0, "finish_reason": "stop", "native_finish_reason": None}
    if road in STREAMED:
        vendor.says(streaming({**bare, "choices": [{**choice, "delta": {"content": "Hi"}}]}, DONE))
    else:
        vendor.says(
            answering({**bare, "choices": [{**choice, "message": {"content": "Hi"}}], "usage": USAGE})
        )
    told = ask(member, agent, road)
    assert (told.error, told.message["content"], told.finish) == (None, "Hi", "stop")


@pytest.mark.parametrize("road", ROADS)
def test_an_answer_of_nulls_and_an_error_is_that_error(member, agent, vendor, road):
    """https://github.com/pydantic/pydantic-ai/issues/2323: OpenRouter's, with a 200."""
    error = {"message": "Provider returned error", "code": 429}
    body = {"id": None, "choices": None, "model": None, "object": None, "error": error}
    vendor.says(streaming(body, DONE) if road in STREAMED else answering(body))
    told = ask(member, agent, road)
    assert (told.error["code"], words(told)) == ("provider_rate_limited", "Provider returned error")


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("status", [200, 400])
def test_a_call_that_groq_could_not_read_is_told_as_that(member, agent, vendor, road, status):
    """https://github.com/tashfeenahmed/freellmapi/pull/291, https://github.com/vercel/ai/issues/6916"""
    said = "Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details."
    error = {
        "message": said,
        "type": "invalid_request_error",
        "code": "tool_use_failed",
        "failed_generation": "<function=read>",
    }
    in_stream = status == 200 and road in STREAMED
    vendor.says(streaming({"error": error}) if in_stream else answering({"error": error}, status))
    told = ask(member, agent, road)
    assert (told.error["code"], words(told)) == ("provider_refused", said)
