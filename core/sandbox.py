"""The sandbox: a demo without a key. A small OpenAI-compatible server, labelled as what it is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

from core import tokens
from core.config import Settings
from core.ids import new_call_id
from core.llm import smallest

MODEL = "sandbox"
MOST_BYTES = 10_000_000
FEW = 8

Document = dict[str, Any]


def main() -> None:
    """Serve on loopback, on the port that settings name for it."""
    from gevent import pywsgi

    port = Settings().port + 3
    pywsgi.WSGIServer(("127.0.0.1", port), application, log=None, backlog=2048).serve_forever()


def application(environ: Document, start_response: Any) -> Iterable[bytes]:
    """WSGI: `POST /v1/chat/completions` and `GET /v1/models`, nothing else. Keeps and logs nothing."""
    route = (environ["REQUEST_METHOD"], environ["PATH_INFO"])
    if route == ("GET", "/v1/models"):
        return _json(start_response, "200 OK", {"object": "list", "data": [{"id": MODEL, "object": "model"}]})
    if route != ("POST", "/v1/chat/completions"):
        return _error(start_response, "404 Not Found", "the sandbox knows /v1/chat/completions only")
    try:
        asked = json.loads(
            environ["wsgi.input"].read(min(int(environ.get("CONTENT_LENGTH") or 0), MOST_BYTES))
        )
        message = _message(asked)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return _error(start_response, "400 Bad Request", "the body is not a chat completion request")
    usage = _usage(asked["messages"], message)
    finish = "tool_calls" if message.get("tool_calls") else "stop"
    if asked.get("stream"):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        counted = usage if (asked.get("stream_options") or {}).get("include_usage") else None
        return _stream(message, finish, counted)
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return _json(start_response, "200 OK", {**_head("chat.completion"), "choices": [choice], "usage": usage})


def _message(asked: Document) -> Document:
    """A call of the first tool, the smallest JSON that the schema allows, or an echo.

    So tools and schemas can be tried without a key. A tool's result is echoed, and ends the turn.
    """
    said: Document = {"role": "assistant", "content": None}
    function = _function(asked)
    if function is not None and asked["messages"][-1]["role"] == "user":
        called = {
            "name": function["name"],
            "arguments": json.dumps(
                smallest.instance({"type": "object", **(function.get("parameters") or {})})
            ),
        }
        return said | {"tool_calls": [{"id": new_call_id(), "type": "function", "function": called}]}
    wanted = asked.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        return said | {"content": json.dumps(smallest.instance(wanted["json_schema"].get("schema")))}
    if wanted.get("type") == "json_object":
        return said | {"content": json.dumps({"sandbox": "No model was asked."})}
    return said | {"content": f"[sandbox] No model was asked. {_last_words(asked['messages'])}"}


def _function(asked: Document) -> Document | None:
    """The function that is to be called: the chosen one, else the first of few.

    A program that brings many tools has an agent of its own, which would carry out whatever it is told.
    """
    tools, choice = asked.get("tools") or [], asked.get("tool_choice")
    if not tools or choice == "none" or (choice in (None, "auto") and len(tools) > FEW):
        return None
    functions = [tool["function"] for tool in tools if tool.get("type") == "function"]
    named = choice["function"]["name"] if isinstance(choice, dict) else None
    return next((one for one in functions if named in (None, one["name"])), None)


def _last_words(messages: list[Document]) -> str:
    last = messages[-1]
    content = last["content"]
    if isinstance(content, list):
        content = " ".join(part.get("text", f"({part.get('type')})") for part in content)
    return f"{'The tool' if last['role'] == 'tool' else 'You'} said: {str(content)[:500]}"


def _usage(asked: list[Document], said: Document) -> Document:
    """The sandbox has no tokenizer."""
    prompt = tokens.about(asked)
    completion = tokens.about([], said["content"], said.get("tool_calls"))
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _stream(message: Document, finish: str, usage: Document | None) -> Iterable[bytes]:
    yield from (_event([{"index": 0, "delta": one, "finish_reason": None}]) for one in _deltas(message))
    yield _event([{"index": 0, "delta": {}, "finish_reason": finish}])
    if usage is not None:
        yield _event([], usage=usage)
    yield b"data: [DONE]\n\n"


def _deltas(message: Document) -> Iterable[Document]:
    """Word by word; a call's arguments in two pieces."""
    for n, call in enumerate(message.get("tool_calls") or []):
        said = call["function"]["arguments"]
        head = {**call, "function": {**call["function"], "arguments": said[:1]}}
        yield {"tool_calls": [{"index": n, **head}]}
        yield {"tool_calls": [{"index": n, "function": {"arguments": said[1:]}}]}
    words = message["content"].split(" ") if message["content"] else []
    yield from ({"content": word if n == len(words) - 1 else f"{word} "} for n, word in enumerate(words))


def _event(choices: list[Document], **more: Any) -> bytes:
    body = {**_head("chat.completion.chunk"), "choices": choices, **more}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def _head(kind: str) -> Document:
    return {"id": "chatcmpl-sandbox", "object": kind, "created": int(time.time()), "model": MODEL}


def _json(start_response: Any, status: str, body: Document) -> list[bytes]:
    data = json.dumps(body).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
    return [data]


def _error(start_response: Any, status: str, message: str) -> list[bytes]:
    return _json(start_response, status, {"error": {"message": message, "type": "invalid_request_error"}})


if __name__ == "__main__":
    from gevent import monkey

    monkey.patch_all()
    main()
