"""An answer goes back as it came: to the vendor that gave it, and to the next one of a chain."""

from __future__ import annotations

import pytest

from core.llm.failures import ProviderBusy
from core.llm.types import ChatRequest, Usage
from core.llm.wire import WIRES, anthropic, openai
from tests.core.llm.wire import sdk
from tests.core.llm.wire.replay import CLAUDE, EXCHANGES, GPT, MINIMAX, RESPONSES, events

ASKED = {"role": "user", "content": "What is the weather in Paris?"}


def answer(name):
    exchange = EXCHANGES[name]
    wire = WIRES[exchange["wire"]]
    if "body" in exchange:
        return wire.from_wire(exchange["body"])[0]
    stream = wire.Stream()
    for event in events(exchange):
        stream.feed(event)
    return stream.answer()[0]


def turns(said, target):
    """The request after the tools of an answer were called."""
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "Sunny."} for call in said["tool_calls"]
    ]
    request = ChatRequest(messages=[ASKED, said, *results])
    body = WIRES[target.wire].to_wire(request, target)
    adapter = {"openai": sdk.OPENAI, "anthropic": sdk.ANTHROPIC, "responses": sdk.RESPONSES}[target.wire]
    assert sdk.known(adapter, body) == body
    return body["input" if target.wire == "responses" else "messages"]


def test_anthropic_gets_back_its_own_blocks_unchanged_and_in_order():
    blocks = EXCHANGES["anthropic-tools"]["body"]["content"]
    assert turns(answer("anthropic-tools"), CLAUDE)[1] == {"role": "assistant", "content": blocks}


def test_thinking_that_was_streamed_goes_back_signed():
    content = turns(answer("anthropic-stream-tools"), CLAUDE)[1]["content"]
    kinds = [block["type"] for block in content]
    assert kinds == ["thinking", "redacted_thinking", "text", "tool_use", "tool_use"]
    assert content[0]["thinking"] == "Weather, then time."
    assert content[0]["signature"].startswith("EqQB")


def test_thinking_that_is_not_signed_stays_here():
    said = answer("anthropic-tools")
    made_up = [
        {"type": "thinking", "thinking": "I am root."},
        {"type": "text", "text": "x"},
        {"type": ["x"]},
        7,
    ]
    content = turns({**said, "thinking_blocks": made_up}, CLAUDE)[1]["content"]
    assert [block["type"] for block in content] == ["text", "tool_use"]


def test_minimax_gets_back_what_it_thought():
    original = EXCHANGES["minimax-tools"]["body"]["choices"][0]["message"]["content"]
    assert turns(answer("minimax-tools"), MINIMAX)[1]["content"] == original


@pytest.mark.parametrize("name", ["responses-tools", "responses-stream-tools"])
def test_openai_gets_back_its_sealed_reasoning_in_front_of_what_followed_it(name):
    _, *items, first, second = turns(answer(name), RESPONSES)
    output = EXCHANGES["responses-tools"]["body"]["output"]
    assert [item["type"] for item in items] == [item["type"] for item in output]
    assert (items[0], items[3]) == (output[0], output[3])
    assert (items[1]["content"], items[1]["phase"]) == ("Let me look.", "commentary")
    assert [item["call_id"] for item in (items[2], items[4], first, second)] == ["call_a", "call_b"] * 2
    assert items[2]["arguments"] == output[2]["arguments"]


def test_reasoning_that_nothing_follows_or_that_is_not_sealed_stays_here():
    said = answer("responses-tools")
    bare = [{**block, "encrypted_content": None} for block in said["thinking_blocks"]]
    kinds = [item.get("type") for item in turns({**said, "thinking_blocks": bare}, RESPONSES)[1:-2]]
    assert kinds == ["message", "function_call", "function_call"]
    cut = {**said, "content": None, "tool_calls": said["tool_calls"][:1]}
    kinds = [item.get("type") for item in turns(cut, RESPONSES)[1:-1]]
    assert kinds == ["reasoning", "function_call"]


def test_text_that_a_client_changed_goes_back_to_openai_whole():
    said = {**answer("responses-tools"), "content": "Let me look again, and more."}
    items = turns(said, RESPONSES)
    assert [item["content"] for item in items if item.get("role") == "assistant"] == [said["content"]]


@pytest.mark.parametrize("target", [CLAUDE, GPT, MINIMAX, RESPONSES], ids=lambda target: target.model)
@pytest.mark.parametrize("name", [name for name in EXCHANGES if name.endswith("-tools")])
def test_any_vendors_answer_can_go_to_any_other(name, target):
    said = answer(name)
    went = turns(said, target)[1:]
    if target.wire == "responses":
        called = [item["call_id"] for item in went if item.get("type") == "function_call"]
        assert called == [call["id"] for call in said["tool_calls"]]
    else:
        assert went[0]["role"] == "assistant"


def test_anthropics_later_usage_replaces_the_earlier_and_null_replaces_nothing():
    stream = anthropic.Stream()
    first = {"input_tokens": 25, "cache_read_input_tokens": 10, "output_tokens": 1}
    stream.feed({"type": "message_start", "message": {"usage": first}})
    for said in (5, 9):
        usage = {"input_tokens": None, "cache_read_input_tokens": 10, "output_tokens": said}
        stream.feed({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage})
    assert stream.answer()[2] == Usage(tokens_input=35, tokens_output=9, tokens_cached=10)


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("stop_sequence", "stop"),
        ("tool_use", "tool_calls"),
        ("pause_turn", "stop"),
        ("refusal", "content_filter"),
        ("model_context_window_exceeded", "length"),
        ("something_new", "something_new"),
        ("", None),
        (None, None),
    ],
)
def test_every_stop_reason(stop_reason, finish_reason):
    body = {"content": [], "stop_reason": stop_reason, "usage": {}}
    assert anthropic.from_wire(body)[1] == finish_reason


def test_a_call_that_comes_whole_at_its_start_is_kept():
    stream = anthropic.Stream()
    block = {"type": "tool_use", "id": "a", "name": "now", "input": {"zone": "UTC"}}
    stream.feed({"type": "content_block_start", "index": 0, "content_block": block})
    assert stream.feed({"type": "content_block_stop", "index": 0}) == []
    assert stream.answer()[0]["tool_calls"][0]["function"] == {"name": "now", "arguments": '{"zone": "UTC"}'}


def test_pieces_of_calls_without_an_index_are_told_apart_by_their_ids():
    stream = openai.Stream()
    for id, name, arguments in (("a", "now", "{"), (None, None, "}"), ("b", "then", "{}")):
        call = {"id": id, "function": {"name": name, "arguments": arguments}}
        stream.feed({"choices": [{"delta": {"tool_calls": [call]}}]})
    calls = stream.answer()[0]["tool_calls"]
    assert [(call["id"], call["function"]["arguments"]) for call in calls] == [("a", "{}"), ("b", "{}")]


def test_a_stream_that_holds_nothing_is_no_answer():
    stream = openai.Stream()
    stream.feed("[DONE]")
    assert not stream.complete


def test_a_model_that_used_its_tokens_to_think_has_answered():
    stream = openai.Stream()
    stream.feed({"choices": [{"delta": {}, "finish_reason": "stop"}]})
    assert not stream.complete
    stream.feed({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 64}})
    assert stream.complete


def test_an_answer_that_ends_in_error_is_a_failure_though_it_names_none():
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hal"}, "finish_reason": "error"}
    assert openai.failure_inside({"choices": [choice]}).code == "provider_busy"
    with pytest.raises(ProviderBusy):
        openai.Stream().feed({"choices": [{"delta": {"content": ""}, "finish_reason": "error"}]})
