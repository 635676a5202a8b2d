"""What providers say in each wire format. Shapes from the vendors' documentation, as the wire tests hold."""

from __future__ import annotations

from tests.providers.scripted import answering, sse, streaming

OPENAI_WHOLE = {
    "id": "chatcmpl-1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
}
ANTHROPIC_WHOLE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 7, "output_tokens": 2},
}
RESPONSES_WHOLE = {
    "id": "resp_1",
    "status": "completed",
    "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}],
    "usage": {"input_tokens": 7, "output_tokens": 2, "total_tokens": 9},
}


def openai_delta(text) -> bytes:
    return sse({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})


def anthropic_delta(text) -> bytes:
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    return sse(delta, "content_block_delta")


def anthropic_start() -> bytes:
    message = {**ANTHROPIC_WHOLE, "content": [], "stop_reason": None}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    started = {"type": "message_start", "message": message}
    return sse(started, "message_start") + sse(block, "content_block_start")


BEGINNING = {"openai": openai_delta("Hel"), "anthropic": anthropic_start() + anthropic_delta("Hel")}
END = {
    "openai": sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    + sse({"choices": [], "usage": OPENAI_WHOLE["usage"]})
    + sse("[DONE]"),
    "anthropic": sse({"type": "content_block_stop", "index": 0}, "content_block_stop")
    + sse(
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        "message_delta",
    )
    + sse({"type": "message_stop"}, "message_stop"),
}
WHOLE = {"openai": OPENAI_WHOLE, "anthropic": ANTHROPIC_WHOLE, "responses": RESPONSES_WHOLE}
MORE = {"openai": openai_delta("lo"), "anthropic": anthropic_delta("lo")}
PING = {"openai": b": keep-alive\n\n", "anthropic": sse({"type": "ping"}, "ping")}


def good(wire, stream):
    return streaming(BEGINNING[wire], MORE[wire], END[wire]) if stream else answering(WHOLE[wire])


def failing(wire, status, message, code=None, kind=None, *headers):
    """An error as the format carries it."""
    error = {"message": message, "code": code, "type": kind}
    body = {"error": error} if wire == "openai" else {"type": "error", "error": error}
    return answering(body, status, *headers)
