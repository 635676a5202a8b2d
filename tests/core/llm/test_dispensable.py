"""What a call does without once an endpoint has refused it."""

from __future__ import annotations

import pytest

from core.config import Settings
from core.llm import dispensable, router
from core.llm.failures import ProviderRefused
from core.llm.transport import provider_transport
from tests.core.llm.wire.replay import EXCHANGES, target
from tests.factory import asking
from tests.providers.scripted import answering, provider, streaming

ASKED = [{"role": "user", "content": "Hello"}]
SAID = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}
STREAM = streaming(SAID, "[DONE]")
NO_OPTIONS = [
    answering({"error": {"message": "Unrecognized request argument supplied: stream_options"}}, 400),
    answering(
        {"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}]}, 422
    ),
    answering({"message": {"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs"}]}}, 422),
    answering("create() got an unexpected keyword argument 'stream_options'", 500),
]
UNREADABLE = {
    "error": {
        "message": "The encrypted content gAAA...DQ== could not be verified.",
        "type": "invalid_request_error",
        "code": "invalid_encrypted_content",
    }
}
SEALED = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
CALLED = {"type": "function_call", "call_id": "call_1"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
TURNS = [
    *ASKED,
    {"role": "assistant", "content": None, "tool_calls": [CALL], "thinking_blocks": [SEALED, CALLED]},
    {"role": "tool", "tool_call_id": "call_1", "content": "seen"},
]


@pytest.fixture(autouse=True)
def nothing_remembered():
    dispensable._never_taken.clear()
    yield
    dispensable._never_taken.clear()


@pytest.fixture
def transport():
    made = provider_transport(Settings(custom_endpoint_allow="127.0.0.1"))
    yield made
    made.close()


def ask(transport, one, messages=ASKED, **more):
    calls = []
    stream = more.pop("stream", True)
    to = target(base_url=one.url, **({"key_kind": "custom", "model": "m"} | more))
    answer = router.run(
        asking(messages, stream=stream), [to], transport=transport, calls=calls, sleep=lambda seconds: None
    )
    return answer, [call["outcome"] for call in calls]


@pytest.mark.parametrize("refusal", NO_OPTIONS)
def test_a_server_that_takes_no_stream_options_is_asked_without_and_remembered(transport, refusal):
    with provider(refusal, STREAM) as one:
        answer, outcomes = ask(transport, one)
        assert (answer.message["content"], answer.usage_status) == ("Hi", "estimated")
        assert (len(outcomes), outcomes[-1]) == (2, "ok")
        assert ask(transport, one)[1] == ["ok"]
        options = [received.body.get("stream_options") for received in one.received]
        assert options == [{"include_usage": True}, None, None]


def test_another_address_is_still_told_the_options(transport):
    with provider(NO_OPTIONS[0], STREAM) as one, provider(STREAM) as other:
        ask(transport, one)
        ask(transport, other)
        assert "stream_options" in other.received[0].body


def test_it_is_once_more_and_no_oftener(transport):
    with provider(NO_OPTIONS[0]) as one:
        with pytest.raises(ProviderRefused, match="stream_options"):
            ask(transport, one)
        assert len(one.received) == 2


def test_a_refusal_of_what_was_not_sent_is_a_refusal(transport):
    with provider(NO_OPTIONS[0]) as one:
        with pytest.raises(ProviderRefused):
            ask(transport, one, stream=False)
        assert len(one.received) == 1


RESPONSES = {
    "key_kind": "byokey",
    "wire": "responses",
    "wire_given": True,
    "model": "gpt-5.6",
    "stream": False,
}


@pytest.mark.parametrize("status", [400, 200])
def test_reasoning_that_openai_cannot_open_is_left_out_of_that_call_alone(transport, status):
    good = answering(EXCHANGES["responses-plain"]["body"])
    unreadable = answering({**UNREADABLE, "status": "failed"} if status == 200 else UNREADABLE, status)
    with provider(unreadable, good) as one:
        answer, outcomes = ask(transport, one, TURNS, **RESPONSES)
        assert answer.message["content"] == "Hello! How can I help?"
        assert outcomes[-1] == "ok"
        ask(transport, one, TURNS, **RESPONSES)
        kinds = [[item.get("type") for item in received.body["input"]] for received in one.received]
        whole = [None, "reasoning", "function_call", "function_call_output"]
        assert kinds == [whole, [None, "function_call", "function_call_output"], whole]


def test_a_second_refusal_of_the_reasoning_is_told(transport):
    with provider(answering(UNREADABLE, 400)) as one:
        with pytest.raises(ProviderRefused, match="encrypted content"):
            ask(transport, one, TURNS, **RESPONSES)
        assert len(one.received) == 2


SIGNED = {"type": "thinking", "thinking": "Look.", "signature": "sig"}
THOUGHT = [ASKED[0], {**TURNS[1], "thinking_blocks": [SIGNED]}, TURNS[2]]
CLAUDE = {"provider": "anthropic", "wire": "anthropic", "model": "claude-sonnet-4-5", "stream": False}


@pytest.mark.parametrize(
    "words",
    [
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        "messages.1.content.0: Invalid signature in thinking block. The block is bound to a different "
        "conversation.",
        "messages.1.content.0: `thinking` or `redacted_thinking` blocks in the latest assistant message "
        "cannot be modified. These blocks must remain as they were in the original response.",
    ],
)
def test_thinking_that_anthropic_cannot_verify_is_left_out_of_that_call_alone(transport, words):
    refusal = answering({"type": "error", "error": {"type": "invalid_request_error", "message": words}}, 400)
    with provider(refusal, answering(EXCHANGES["anthropic-plain"]["body"])) as one:
        outcomes = ask(transport, one, THOUGHT, **CLAUDE)[1]
        ask(transport, one, THOUGHT, **CLAUDE)
        kinds = [[block["type"] for block in sent.body["messages"][1]["content"]] for sent in one.received]
    assert outcomes == ["provider_refused", "ok"]
    assert kinds == [["thinking", "tool_use"], ["tool_use"], ["thinking", "tool_use"]]


@pytest.mark.parametrize(
    "words",
    [
        "Missing `reasoning_content` field in the assistant message at message index 1.",
        "The reasoning content in the thinking mode must be passed back to the API.",
        "thinking is enabled but reasoning_content is missing in assistant tool call message at index 1",
    ],
)
def test_a_turn_whose_reasoning_the_client_dropped_is_sent_with_a_blank_one(transport, words):
    """A refusal of what was sent with its reasoning is a refusal."""
    refusal, good = (
        answering({"error": {"message": words}}, 400),
        answering(EXCHANGES["openai-plain"]["body"]),
    )
    with provider(refusal, good) as one:
        assert ask(transport, one, TURNS, stream=False)[1] == ["provider_refused", "ok"]
        sent = [[message.get("reasoning_content") for message in r.body["messages"]] for r in one.received]
        assert sent == [[None, None, None], [None, " ", None]]
    thought = [{**message, "reasoning": "Hm."} if "tool_calls" in message else message for message in TURNS]
    with provider(refusal, good) as one, pytest.raises(ProviderRefused):
        ask(transport, one, thought, stream=False)
