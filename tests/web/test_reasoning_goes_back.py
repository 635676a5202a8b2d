"""Reasoning that a vendor wants back in the next turn: under the name it came as, to where it came from."""

from __future__ import annotations

import pytest

from tests.providers.scripted import answering, provider, streaming
from tests.web.asking import HELLO, ROADS, ask

CALL = {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
DETAILS = [
    {"type": "reasoning.text", "text": "Look it up.", "index": 0, "format": "google-gemini-v1"},
    {"type": "reasoning.encrypted", "data": "c2VhbGVk", "index": 1, "format": "google-gemini-v1", "id": "t1"},
]
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "noon"}
END = {"choices": [{"index": 0, "message": {"content": "Noon."}, "finish_reason": "stop"}]}


@pytest.fixture
def agent(member, vendor, in_threads):
    config = {"provider": "openai", "model": "m", "custom_endpoint": vendor.url}
    return member.post("/agents", {"name": "scout", "llm_config": config}).json["id"]


def calling(road, **told):
    """A tool call, with what the vendor tells beside it: in one piece, or a few characters a delta."""
    if not road.endswith("stream"):
        message = {"role": "assistant", "content": None, "tool_calls": [CALL], **told}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        return answering({"choices": [choice]})
    deltas = [delta for name, value in told.items() for delta in pieces(name, value)]
    deltas += [{"tool_calls": [{"index": 0, **CALL}]}]
    events = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    return streaming(
        *events, {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}, "[DONE]"
    )


def pieces(name, value):
    if isinstance(value, str):
        return [{name: value[:4]}, {name: value[4:]}]
    first, second = value
    return [
        {name: [{**first, "text": first["text"][:4]}]},
        {name: [{**first, "text": first["text"][4:]}]},
        {name: [second]},
    ]


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize(
    "told",
    [
        {"reasoning_content": "Look it up.\n"},
        {"reasoning_content": ""},
        {"reasoning": "Look it up."},
        {"reasoning": "Look it up.", "reasoning_details": DETAILS},
        {"reasoning_details": DETAILS},
    ],
)
def test_it_goes_back_as_it_came(member, agent, vendor, road, told):
    vendor.says(calling(road, **told), answering(END))
    answer = ask(member, agent, road)
    assert answer.message.get("reasoning_details") == told.get("reasoning_details")
    ask(member, agent, road.removesuffix("-stream"), [*HELLO, answer.message, RESULT])
    back = vendor.received[1].body["messages"][1]
    assert back == {"role": "assistant", "content": back["content"], "tool_calls": [CALL], **told}


@pytest.mark.parametrize("stream", [False, True])
def test_it_goes_back_with_the_history_of_a_conversation(member, agent, vendor, stream):
    vendor.says(calling("-stream" if stream else "", reasoning_content="Look it up."), answering(END))
    more = {"conversation_id": "c1"}
    ask(member, agent, "api-stream" if stream else "api", **more)
    ask(member, agent, "api", [RESULT], **more)
    assert vendor.received[1].body["messages"][1]["reasoning_content"] == "Look it up."


def test_it_goes_to_no_other_endpoint(member, agent, vendor):
    vendor.says(calling("", reasoning="Look it up.", reasoning_details=DETAILS))
    answer = ask(member, agent, "api")
    with provider(answering(END)) as other:
        config = {"provider": "openai", "model": "m", "custom_endpoint": other.url}
        assert member.put(f"/agents/{agent}/llm-config", config).status_code == 200
        ask(member, agent, "api", [*HELLO, answer.message, RESULT])
        assert set(other.received[0].body["messages"][1]) == {"role", "content", "tool_calls"}


def test_what_a_client_names_itself_goes_to_the_agents_own_endpoint(member, agent, vendor):
    vendor.says(answering(END))
    said = {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning_content": "Look it up."}
    ask(member, agent, "door", [*HELLO, said, RESULT])
    assert vendor.received[0].body["messages"][1] == said


def test_without_a_call_it_stays_here(member, agent, vendor):
    vendor.says(answering(END))
    said = {"role": "assistant", "content": "Noon.", "reasoning_content": "Look it up."}
    ask(member, agent, "api", [*HELLO, said, *HELLO])
    assert vendor.received[0].body["messages"][1] == {"role": "assistant", "content": "Noon."}
