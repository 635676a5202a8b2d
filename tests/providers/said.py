"""Answers in OpenAI's format, as tests write them down: chunks of a stream, and answers in one piece."""

from __future__ import annotations

from tests.providers.scripted import answering

DONE = "[DONE]"
USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}


def d(finish=None, **delta):
    """A chunk with this delta."""
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def piece(index=0, id=None, name=None, arguments=None):
    """A piece of a call: what is None is absent."""
    function = {"name": name, "arguments": arguments}
    given = {"index": index, "id": id, "function": {k: v for k, v in function.items() if v is not None}}
    return d(tool_calls=[{key: value for key, value in given.items() if value is not None}])


def whole(finish="stop", **message):
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return answering({"id": "1", "choices": [choice], "usage": USAGE})
