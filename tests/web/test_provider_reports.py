"""What people reported of providers in 2025 and 2026, and what a client is told of it, by every road.

Beside each case stands one of its public reports, read 2026-11.
"""

from __future__ import annotations

import json

import pytest

from tests.providers.said import DONE, USAGE, d, piece, whole
from tests.providers.scripted import answering, head, streaming
from tests.web.asking import ROADS, ask

STREAMED = ["api-stream", "door-stream"]
A, B = '{"path":"a.rs"}', '{"path":"b.rs"}'
PAGE = (
    b"<!DOCTYPE html><html><head><style>x{}</style></head><body><h1>504 Gateway Time-out</h1></body></html>"
)


@pytest.fixture
def agent(vendors_agent):
    return vendors_agent


def says(vendor, *events):
    vendor.says(streaming(*events))


def words(told):
    return told.error.get("detail") or told.error["message"]


@pytest.mark.parametrize("road", STREAMED)
@pytest.mark.parametrize(
    "odd",
    [
        b"data: null\n\n",  # https://github.com/NousResearch/hermes-agent/pull/80822
        {"id": "1", "choices": None},  # https://github.com/RooCodeInc/Roo-Code/pull/9105
        {"usage": USAGE},  # https://github.com/tashfeenahmed/freellmapi/pull/156
        {"choices": [{"index": 0, "delta": None, "finish_reason": None}]},  # bagofwords1/bagofwords/pull/742
        {"choices": [{"index": 0, "delta": {}, "content_filter_results": {}, "finish_reason": None}]},
        b"data: 7\n\n",
        b"data: []\n\n",
    ],
)
def test_an_event_that_says_nothing_is_passed_over(member, agent, vendor, road, odd):
    says(vendor, odd, d(content="Hel"), odd, d(content="lo"), odd, d("stop"), odd, DONE)
    told = ask(member, agent, road)
    assert (told.error, told.message["content"], told.finish) == (None, "Hello", "stop")


@pytest.mark.parametrize("road", ROADS)
def test_calls_that_end_with_stop_end_with_tool_calls(member, agent, vendor, road):
    """https://github.com/googleapis/python-genai/issues/2868: agents' loops look at this word alone."""
    call = {"id": "call_a", "type": "function", "function": {"name": "read", "arguments": A}}
    if road in STREAMED:
        says(vendor, piece(0, "call_a", "read", A), d("stop"), DONE)
    else:
        vendor.says(whole("stop", content=None, tool_calls=[call]))
    told = ask(member, agent, road)
    assert (told.calls, told.finish) == ([("call_a", "read", A)], "tool_calls")


@pytest.mark.parametrize("road", ROADS)
def test_tool_calls_without_a_call_are_a_stop(member, agent, vendor, road):
    """https://github.com/mastra-ai/mastra/pull/14187: the loop asked again, for ever."""
    if road in STREAMED:
        says(vendor, d(content="Cold water."), d("tool_calls"), DONE)
    else:
        vendor.says(whole("tool_calls", content="Cold water.", tool_calls=[]))
    told = ask(member, agent, road)
    assert (told.calls, told.finish) == ([], "stop")


@pytest.mark.parametrize("road", STREAMED)
@pytest.mark.parametrize(
    "pieces",
    [
        [  # https://github.com/agno-agi/agno/pull/8880: the second call begins at 0, and goes on at 1
            piece(0, "call_a", "read", A),
            piece(0, "call_b", "read", ""),
            piece(1, None, None, B[:5]),
            piece(1, None, None, B[5:]),
        ],
        [  # https://github.com/danny-avila/LibreChat/issues/13987: begun at one place, told at another
            piece(1, "call_a", "read", ""),
            piece(0, None, None, A),
            piece(2, "call_b", "read", ""),
            piece(1, None, None, B),
        ],
    ],
)
def test_a_call_that_goes_on_at_another_place_is_one_call(member, agent, vendor, road, pieces):
    says(vendor, *pieces, d("tool_calls"), DONE)
    assert ask(member, agent, road).calls == [("call_a", "read", A), ("call_b", "read", B)]


@pytest.mark.parametrize("road", STREAMED)
def test_a_call_whose_name_comes_after_its_arguments_has_both(member, agent, vendor, road):
    """https://github.com/vercel/ai/pull/15879"""
    says(vendor, piece(0, "call_a", None, A[:5]), piece(0, "call_a", "read", A[5:]), d("tool_calls"), DONE)
    assert ask(member, agent, road).calls == [("call_a", "read", A)]


@pytest.mark.parametrize("road", ROADS)
def test_no_choices_at_all_is_no_answer(member, agent, vendor, road):
    """https://github.com/vercel/ai/issues/20351"""
    if road in STREAMED:
        says(vendor, {"choices": [], "usage": USAGE}, DONE)
    else:
        vendor.says(answering({"choices": [], "usage": USAGE}))
    assert ask(member, agent, road).error["code"] == "provider_busy"


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("status", [200, 404, 504])
def test_the_page_of_a_gateway_is_not_shown_as_it_is(member, agent, vendor, road, status):
    """https://github.com/MCPJam/inspector/pull/3866: its style sheet was in the chat."""
    vendor.says(lambda write: write(head(status, "text/html", ("Content-Length", len(PAGE))) + PAGE))
    told = ask(member, agent, road)
    assert "504 Gateway Time-out" in words(told)
    assert "<" not in words(told)


@pytest.mark.parametrize("road", STREAMED)
def test_a_stream_of_messages_in_place_of_deltas_is_gathered(member, agent, vendor, road):
    """Asked to stream, some servers tell a whole completion in one event."""
    said = {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
    says(vendor, {"object": "chat.completion", "choices": [said], "usage": USAGE}, DONE)
    told = ask(member, agent, road)
    assert (told.error, told.message.get("content"), told.finish) == (None, "Hello", "stop")


@pytest.mark.parametrize("road", STREAMED)
def test_anthropics_overload_in_mid_stream_is_no_success(member, vendor, in_threads, road):
    """https://github.com/jeremychone/rust-genai/pull/245"""
    config = {"provider": "anthropic", "model": "claude-sonnet-4-5", "custom_endpoint": vendor.url}
    claude = member.post("/agents", {"name": "claude", "llm_config": config}).json["id"]
    overload = {
        "type": "error",
        "error": {"details": None, "type": "overloaded_error", "message": "Overloaded"},
    }
    says(
        vendor,
        {"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "It beg"}},
        b"event: error\ndata: " + json.dumps(overload).encode() + b"\n\n",
    )
    told = ask(member, claude, road)
    assert (told.error["code"], told.partial) == ("stream_broken", "It beg")
    assert "Overloaded" in words(told)


@pytest.mark.parametrize("road", STREAMED)
@pytest.mark.parametrize("rest", ["", "{}"])
def test_arguments_that_are_told_only_when_they_are_done_are_kept(member, vendor, in_threads, road, rest):
    """https://github.com/earendil-works/pi/pull/917: the item that ends then has none."""
    config = {"provider": "openai", "model": "gpt-5.6", "custom_endpoint": vendor.url, "wire": "responses"}
    made = member.post("/agents", {"name": "responding", "llm_config": config}).json["id"]
    item = {"type": "function_call", "id": "fc_1", "call_id": "call_a", "name": "read", "arguments": ""}
    ended = {**item, "arguments": rest}
    says(
        vendor,
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {
            "type": "response.function_call_arguments.done",
            "output_index": 0,
            "item_id": "fc_1",
            "arguments": A,
        },
        {"type": "response.output_item.done", "output_index": 0, "item": ended},
        {"type": "response.completed", "response": {"status": "completed", "output": [ended], "usage": None}},
    )
    told = ask(member, made, road)
    assert (told.error, told.calls, told.finish) == (None, [("call_a", "read", A)], "tool_calls")
