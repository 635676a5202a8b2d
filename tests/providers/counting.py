"""A provider that takes its time and remembers every call: `python tests/providers/counting.py PORT`.

OpenAI-compatible. The last message's text may say `delay=0.5` (seconds) and `id=…`, by which a call is
counted; `GET /log` gives `{"calls": {id: n}, "most_at_once": n, "finished": n}`.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter

import gevent
from gevent import pywsgi

CALLS: Counter[str] = Counter()
STATE = {"now": 0, "most_at_once": 0, "finished": 0}


def application(environ, start_response):
    if environ["PATH_INFO"] == "/log":
        return answer(start_response, {"calls": CALLS, **STATE})
    try:
        body = json.loads(environ["wsgi.input"].read())
    except OSError:  # the caller was killed while it sent this: no call was made
        return answer(start_response, {})
    text = str(body["messages"][-1]["content"])
    CALLS[found(text, "id", "?")] += 1
    STATE["now"] += 1
    STATE["most_at_once"] = max(STATE["most_at_once"], STATE["now"])
    try:
        gevent.sleep(float(found(text, "delay", "0.02")))
    finally:
        STATE["now"] -= 1
    STATE["finished"] += 1
    if body.get("stream"):
        return stream(start_response, body["model"], int(found(text, "words", "20")))
    return answer(start_response, completion(body["model"], f"done {text}"))


def found(text: str, name: str, otherwise: str) -> str:
    match = re.search(rf"\b{name}=(\S+)", text)
    return match[1] if match else otherwise


def completion(model: str, text: str):
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17},
    }


def stream(start_response, model: str, words: int):
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    for n in range(words):
        yield event(model, [{"index": 0, "delta": {"content": f"word{n} "}, "finish_reason": None}])
        gevent.sleep(0.005)
    yield event(model, [{"index": 0, "delta": {}, "finish_reason": "stop"}])
    usage = {"prompt_tokens": 12, "completion_tokens": words, "total_tokens": 12 + words}
    yield event(model, [], usage=usage)
    yield b"data: [DONE]\n\n"


def event(model: str, choices, **more) -> bytes:
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": choices}
    return b"data: " + json.dumps({**chunk, **more}).encode() + b"\n\n"


def answer(start_response, body):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]


if __name__ == "__main__":
    address = ("127.0.0.1", int(sys.argv[1]))
    pywsgi.WSGIServer(address, application, log=None, backlog=2048).serve_forever()
