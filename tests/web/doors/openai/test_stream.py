"""A job's events as chunks: what is told in pieces, and what is told whole at the end."""

import json

import pytest

from core.clock import utcnow
from web.doors.openai.stream import Chunks

JOB = {"_id": "j1", "created_at": utcnow()}
USAGE = {
    "tokens_input": 12,
    "tokens_output": 5,
    "tokens_total": 17,
    "tokens_cached": 0,
    "tokens_reasoning": 0,
}


def delta(text):
    return "delta", {"type": "content", "content": text, "attempt": 1}


def done(**message):
    said = {"role": "assistant", "content": "one two", "tool_calls": None, **message}
    result = {"message": said, "finish_reason": "stop", "usage": USAGE}
    return "done", {**JOB, "status": "succeeded", "error": None, "result": result}


@pytest.fixture
def told():
    """The chunks of these events, parsed; the last is the text `[DONE]` where the stream ended well."""

    def of(*events, include_usage=False):
        rest = (event for event in events[1:])
        lines = b"".join(Chunks(JOB, "agent:a", include_usage=include_usage).of(events[0], rest)).split(
            b"\n\n"
        )
        said = [line.removeprefix(b"data: ") for line in lines if line]
        return [line.decode() if line == b"[DONE]" else json.loads(line) for line in said]

    return of


def words(chunks):
    return [
        c["choices"][0]["delta"].get("content") for c in chunks if isinstance(c, dict) and c.get("choices")
    ]


def test_words_come_as_they_are_said(told):
    chunks = told(delta("one "), delta("two"), done())
    assert words(chunks) == ["", "one ", "two", None]
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1] == "[DONE]"


def test_every_piece_of_a_tool_call_has_arguments(told):
    begun = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "rain"}}
    more = {"index": 0, "function": {"arguments": "{}"}}
    calls = [("delta", {"type": "tool_call", "tool_call": piece, "attempt": 1}) for piece in (begun, more)]
    chunks = told(*calls, done(content=None, tool_calls=[{"id": "call_1"}]))
    pieces = [c["choices"][0]["delta"]["tool_calls"][0] for c in chunks[1:3]]
    assert [piece["function"]["arguments"] for piece in pieces] == ["", "{}"]
    assert pieces[0]["function"]["name"] == "rain"


def test_what_was_lost_at_the_end_is_made_up_for(told):
    assert words(told(delta("one "), done())) == ["", "one ", "two", None]


def test_what_was_lost_in_the_midst_ends_it_with_an_error(told):
    chunks = told(delta("one "), ("gap", {}), delta("o"), done())
    assert chunks[-1]["error"]["code"] == "stream_gap"


def test_thinking_blocks_are_told_whole_before_the_end(told):
    blocks = [{"type": "thinking", "thinking": "hm", "signature": "s1"}]
    chunks = told(delta("one two"), done(thinking_blocks=blocks, refusal="no"))
    assert chunks[-3]["choices"][0]["delta"] == {"thinking_blocks": blocks, "refusal": "no"}
    assert chunks[-2]["choices"][0] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}


def test_the_usage_chunk_has_no_choices(told):
    chunks = told(delta("one two"), done(), include_usage=True)
    assert (chunks[-2]["choices"], chunks[-2]["usage"]["total_tokens"]) == ([], 17)


def test_another_worker_after_the_first_word_is_an_error(told):
    assert told(delta("one "), ("restart", {"attempt": 2}))[-1]["error"]["code"] == "worker_lost"
