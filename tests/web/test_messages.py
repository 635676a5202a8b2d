"""The messages of a chat keep to the same rules by the API and by the door, each in its own words."""

from __future__ import annotations

import pytest

LOOK = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
WRONG = [
    ({"role": "user"}, ""),
    ({"role": "user", "content": None}, ""),
    ({"role": "assistant", "tool_calls": []}, ""),
    ({"role": "tool", "content": "seen"}, ""),
    ({"role": "king", "content": "hello"}, "/role"),
    ({"role": "function", "name": "look", "content": "seen"}, "/role"),
    ({"role": "user", "content": 5}, "/content"),
    ({"role": "user", "content": [{"text": "hello"}]}, "/content"),
    ({"role": "user", "content": ["hello"]}, "/content"),
    ({"role": "assistant", "tool_calls": [{**LOOK, "function": None}]}, "/tool_calls/0"),
    ({"role": "assistant", "tool_calls": [{**LOOK, "id": None}]}, "/tool_calls/0/id"),
    (
        {"role": "assistant", "tool_calls": [{**LOOK, "function": {"name": "look", "arguments": {}}}]},
        "/tool_calls/0/function/arguments",
    ),
    ({"role": "tool", "tool_call_id": 1, "content": "seen"}, "/tool_call_id"),
]
OF_AN_SDK = {
    "role": "assistant",
    "content": None,
    "refusal": None,
    "annotations": [],
    "audio": None,
    "function_call": None,
    "tool_calls": [{**LOOK, "index": 0}],
}
RIGHT = [
    {"role": "user", "content": ""},
    {"role": "developer", "content": [{"type": "text", "text": "Be brief.", "a_field": 1}]},
    {"role": "assistant", "refusal": "No."},
    {"role": "assistant", "content": None, "tool_calls": [LOOK]},
    {
        "role": "assistant",
        "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "a", "input": "b"}}],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "seen"}]},
]


def by_api(member, agent, message):
    return member.post(f"/agents/{agent}/chat", {"messages": [message]})


def by_the_door(member, message):
    return member.post("/v1/chat/completions", {"model": "agent:scout", "messages": [message]})


@pytest.mark.parametrize(("message", "place"), WRONG)
def test_a_message_that_nobody_could_answer_is_refused_on_both_roads(member, agent, services, message, place):
    by_us = by_api(member, agent, message)
    assert by_us.status_code == 422
    assert by_us.json["errors"][0]["pointer"].startswith(f"/messages/0{place}")
    at_the_door = by_the_door(member, message)
    assert at_the_door.status_code == 400
    said = at_the_door.json["error"]
    assert said["type"] == "invalid_request_error"
    assert said["param"] == by_us.json["errors"][0]["pointer"][1:].replace("/", ".")
    assert by_us.json["errors"][0]["detail"] in said["message"]
    assert services.db.jobs.count_documents({}) == 0


@pytest.mark.parametrize("message", RIGHT)
def test_a_message_is_kept_as_it_was_sent(member, agent, services, worked_on, message):
    assert by_api(member, agent, message).status_code == 202
    assert by_the_door(member, message).status_code == 200
    assert [job["request"]["messages"] for job in services.db.jobs.find()] == [[message]] * 2


def test_what_the_sdks_add_is_taken_on_both_roads(member, agent, services, worked_on):
    assert by_the_door(member, OF_AN_SDK).status_code == 200
    assert by_api(member, agent, OF_AN_SDK).status_code == 202
    assert [job["request"]["messages"] for job in services.db.jobs.find()] == [[OF_AN_SDK]] * 2


def test_what_only_the_door_passes_on_is_named_by_the_api(member, agent, services, worked_on):
    message = {"role": "assistant", "content": "x", "function_call": {"id": "1"}}
    assert by_the_door(member, message).status_code == 200
    assert services.db.jobs.find_one()["request"]["messages"] == [message]
    (refused,) = by_api(member, agent, message).json["errors"]
    assert refused["pointer"] == "/messages/0/function_call"
