"""The sandbox: a demo without a key. A small OpenAI-compatible server, labelled as what it is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

from core import tokens
from core.config import Settings

MODEL = "sandbox"
MOST_BYTES = 10_000_000

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
        said = _last_words(asked["messages"])
    except (ValueError, KeyError, TypeError, IndexError):
        return _error(start_response, "400 Bad Request", "the body is not a chat completion request")
    text = f"[sandbox] No model was asked. You said: {said}"
    usage = _usage(asked["messages"], text)
    if asked.get("stream"):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return _stream(text, usage if (asked.get("stream_options") or {}).get("include_usage") else None)
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return _json(start_response, "200 OK", {**_head("chat.completion"), "choices": [choice], "usage": usage})


def _last_words(messages: list[Document]) -> str:
    content = messages[-1]["content"]
    if isinstance(content, list):
        content = " ".join(part.get("text", f"({part.get('type')})") for part in content)
    return str(content)[:500]


def _usage(asked: list[Document], answered: str) -> Document:
    """The sandbox has no tokenizer."""
    prompt, completion = tokens.about(asked), tokens.about([], answered)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _stream(text: str, usage: Document | None) -> Iterable[bytes]:
    words = text.split(" ")
    for n, word in enumerate(words):
        delta = {"content": word if n == len(words) - 1 else f"{word} "}
        yield _event([{"index": 0, "delta": delta, "finish_reason": None}])
    yield _event([{"index": 0, "delta": {}, "finish_reason": "stop"}])
    if usage is not None:
        yield _event([], usage=usage)
    yield b"data: [DONE]\n\n"


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
