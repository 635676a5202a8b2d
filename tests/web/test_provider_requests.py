"""What leaves the house of what a client asked, by every road; what is seen of a repeat."""

from __future__ import annotations

import pytest

from tests.providers.said import DONE, d, whole
from tests.providers.scripted import answering, streaming, trickling
from tests.web.asking import HELLO, ROADS, ask

STREAMED = ["api-stream", "door-stream"]
BLANK = {"role": "user", "content": [{"type": "text", "text": " \n"}, {"type": "text", "text": "hello"}]}
MARKED = {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}
LOOSE = {"type": "function", "function": {"name": "look", "parameters": {"properties": {}}}}
NO_OPTIONS = answering({"error": {"message": "Unrecognized request argument supplied: stream_options"}}, 400)
CLAUDES = {"type": "message", "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn"}


@pytest.fixture
def agent(vendors_agent):
    return vendors_agent


def good(road):
    said = {"content": "Hi"}
    return streaming(d("stop", **said), DONE) if road in STREAMED else whole(**said)


@pytest.mark.parametrize("road", ROADS)
def test_white_space_alone_is_not_sent_to_anthropic(member, claude, vendor, road):
    vendor.says(answering({**CLAUDES, "usage": {"input_tokens": 1, "output_tokens": 1}}))
    assert ask(member, claude, road, [{"role": "system", "content": " "}, BLANK]).error is None
    sent = vendor.received[0].body
    assert sent["messages"][0]["content"] == [{"type": "text", "text": "hello"}]
    assert not sent.get("system")


@pytest.mark.parametrize("road", ROADS)
def test_a_clients_mark_of_what_is_to_be_cached_reaches_anthropic(member, claude, vendor, road):
    vendor.says(answering({**CLAUDES, "usage": {"input_tokens": 1, "output_tokens": 1}}))
    assert ask(member, claude, road, [{"role": "user", "content": [MARKED]}]).error is None
    assert vendor.received[0].body["messages"][0]["content"] == [MARKED]


@pytest.mark.parametrize("road", ROADS)
def test_a_tools_parameters_are_an_objects_and_the_developer_is_the_system(member, agent, vendor, road):
    vendor.says(good(road))
    told = ask(member, agent, road, [{"role": "developer", "content": "Be kind."}, *HELLO], tools=[LOOSE])
    sent = vendor.received[0].body
    assert told.error is None
    assert sent["tools"][0]["function"]["parameters"] == {"type": "object", "properties": {}}
    assert [message["role"] for message in sent["messages"]] == ["system", "user"]


@pytest.mark.parametrize("road", STREAMED)
def test_a_server_without_stream_options_is_asked_once_more(member, agent, vendor, road):
    vendor.says(NO_OPTIONS, good(road))
    told = ask(member, agent, road)
    assert (told.error, told.message["content"]) == (None, "Hi")
    assert "stream_options" not in vendor.received[1].body


@pytest.mark.parametrize("road", ROADS)
def test_a_message_without_content_is_refused_before_any_call(member, agent, vendor, services, road):
    path = f"/agents/{agent}/chat" if road.startswith("api") else "/v1/chat/completions"
    body = {"messages": [{"role": "user"}], "stream": road in STREAMED}
    body |= {} if road.startswith("api") else {"model": agent}
    assert member.post(path, body).status_code == (422 if road.startswith("api") else 400)
    assert (services.db.jobs.count_documents({}), vendor.received) == (0, [])


@pytest.mark.parametrize("road", ROADS)
def test_too_long_in_other_words_is_told_as_that(member, agent, vendor, road):
    words = "Invalid request: Your request exceeded model token limit: 131072"
    vendor.says(answering({"error": {"message": words}}, 400))
    told = ask(member, agent, road)
    assert told.error["code"] == ("context_overflow" if road.startswith("api") else "context_length_exceeded")


@pytest.mark.parametrize("road", ROADS)
def test_a_repeat_that_may_have_been_charged_is_a_call_of_its_own(member, agent, vendor, services, road):
    """The second request of a connection is read whole, and the connection closed a little later."""
    vendor.says(good(road), trickling(b"", b"", every=0.3, most=1), good(road))
    for _ in range(2):
        assert ask(member, agent, road).error is None
    calls = [call for job in services.db.jobs.find() for call in job["calls"]]
    assert len(calls) == len(vendor.received) == 3
    assert sum(call["possibly_charged"] for call in calls) == 1
