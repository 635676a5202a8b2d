"""The roads by which a client asks an agent: the API and the OpenAI door, in one piece and streamed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

ROADS = ["api", "api-stream", "door", "door-stream"]
HELLO = [{"role": "user", "content": "hello"}]


@dataclass
class Told:
    """What the client was told. `message` as the road spells it; `error` is None where it went well.

    `partial`: the words that came before an answer broke off.
    """

    status: int
    message: dict[str, Any]
    finish: str | None
    error: dict[str, Any] | None
    usage: dict[str, Any] | None
    partial: str | None
    headers: Any

    @property
    def calls(self):
        return [
            (call["id"], call["function"]["name"], call["function"]["arguments"])
            for call in self.message.get("tool_calls") or []
        ]

    @property
    def reasoning(self):
        return self.message.get("reasoning") or self.message.get("reasoning_content")


def ask(client, agent, road, messages=HELLO, **more) -> Told:
    streamed = road.endswith("-stream")
    if road.startswith("api"):
        return _by_api(client, agent, {"messages": messages, "stream": streamed, **more})
    return _by_the_door(client, {"model": agent, "messages": messages, "stream": streamed, **more})


def _by_api(client, agent, body):
    answer = client.post(f"/agents/{agent}/chat", body, headers={"Prefer": "wait=60"})
    assert answer.status_code == 200, answer.text
    job = answer.json
    result = job["result"] or {}
    said = result.get("message") or {}
    broke = result.get("partial") is True
    return Told(
        status=200,
        message={} if broke else said,
        finish=result.get("finish_reason"),
        error=job["error"],
        usage=result.get("usage"),
        partial=said.get("content") if broke else None,
        headers=answer.headers,
    )


def _by_the_door(client, body):
    answer = client.post("/v1/chat/completions", body)
    if "event-stream" in answer.headers["Content-Type"]:
        return _streamed(answer)
    found = answer.json
    choice = found.get("choices", [{}])[0]
    return Told(
        answer.status_code,
        choice.get("message", {}),
        choice.get("finish_reason"),
        found.get("error"),
        found.get("usage"),
        None,
        answer.headers,
    )


def _streamed(answer):
    """The chunks, put together by the openai SDK itself, which raises for what it does not understand."""
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line.startswith("data: ")]
    chunks = [json.loads(line) for line in lines if line != "[DONE]"]
    error = next((chunk["error"] for chunk in chunks if "error" in chunk), None)
    assert (lines[-1] == "[DONE]") == (error is None)
    state = ChatCompletionStreamState()
    for chunk in chunks:
        if "error" not in chunk:
            state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    choice = state.current_completion_snapshot.choices[0]
    message = choice.message.model_dump(exclude_none=True)
    partial = message.get("content") if error else None
    usage = next((chunk["usage"] for chunk in chunks if chunk.get("usage")), None)
    return Told(200, message, choice.finish_reason, error, usage, partial, answer.headers)
