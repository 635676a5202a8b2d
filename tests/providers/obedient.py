"""A provider that does as the last user's message says: `python tests/providers/obedient.py PORT`.

OpenAI-compatible. The text may hold: `status=429` (an error of this status), `delay=0.5` (seconds before the
answer), `words=20 pause=0.05` (of a stream), `cut=3` (the connection breaks off after so many words), `tool`
(calls the first tool that was given, with `arguments={"city":"Bern"}`; a tool's result is told back),
`chars=1000` (the length of each word), `parallel` (it calls the tool for Bern and for Oslo), `think` (it
thinks aloud, and refuses a tool's result whose call comes back without its `reasoning_content`, as DeepSeek
does). A JSON schema is answered by `{"city": "Bern", "degrees": 7}`.
`GET /log` gives the requests that came, and how many connections were closed before the answer's end.
"""

from __future__ import annotations

import json
import re
import sys

import gevent
from gevent import pywsgi

LOG = {"requests": [], "closed_early": 0, "streams_ended": 0}
ARGUMENTS = '{"city": "Bern"}'
OSLO = '{"city": "Oslo"}'
JSON = '{"city": "Bern", "degrees": 7}'
THOUGHT = "Let me see."
FORGOTTEN = "Missing `reasoning_content` field in the assistant message at message index 1."


class CutOff(Exception):
    """Ends a connection in the midst of an answer."""


def application(environ, start_response):
    if environ["PATH_INFO"] == "/log":
        return whole(start_response, LOG)
    asked = json.loads(environ["wsgi.input"].read())
    LOG["requests"].append({"body": asked, "authorization": environ.get("HTTP_AUTHORIZATION")})
    script = next((text(m) for m in reversed(asked["messages"]) if m["role"] == "user"), "")
    status = int(found(script, "status", "200"))
    if status != 200:
        error = {"error": {"message": f"you asked for {status}", "type": "test", "code": None}}
        return whole(start_response, error, f"{status} As Asked")
    closing = watch_for_closing(environ) if "watch" in script else None
    gevent.sleep(float(found(script, "delay", "0")))
    if closing is not None:
        closing.kill()
    last = asked["messages"][-1]
    if "think" in script and any(
        m.get("tool_calls") and not m.get("reasoning_content") for m in asked["messages"]
    ):
        return whole(
            start_response, {"error": {"message": FORGOTTEN, "type": "invalid_request_error"}}, "400 No"
        )
    if last["role"] == "tool":
        results = [text(m) for m in asked["messages"] if m["role"] == "tool"]
        said = [f"the tool said {' and '.join(results)}"]
    elif "tool" in script and asked.get("tools"):
        arguments = [found(script, "arguments", ARGUMENTS), *([OSLO] if "parallel" in script else [])]
        return tool_calls(start_response, asked, arguments, THOUGHT if "think" in script else None)
    elif (asked.get("response_format") or {}).get("type") == "json_schema":
        said = [JSON[:9], JSON[9:]]
    else:
        size = int(found(script, "chars", "0"))
        said = [f"word{n} " + "x" * size for n in range(int(found(script, "words", "3")))]
    if asked.get("stream"):
        return stream(start_response, asked, said, script)
    message = {"role": "assistant", "content": "".join(said)}
    return whole(start_response, completion(asked, message, "stop"))


def text(message) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(part.get("text", "") for part in content)
    return str(content)


def found(script: str, name: str, otherwise: str) -> str:
    match = re.search(rf"\b{name}=(\S+)", script)
    return match[1] if match else otherwise


def watch_for_closing(environ):
    """Counts when the client closes its connection while it waits for the answer."""
    sock = environ["socket"]

    def look():
        if sock.recv(1) == b"":
            LOG["closed_early"] += 1

    return gevent.spawn(look)


def tool_calls(start_response, asked, arguments, thought):
    """One call of the first tool for each of the arguments."""
    name = asked["tools"][0]["function"]["name"]
    calls = [
        {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": one}}
        for n, one in enumerate(arguments, 1)
    ]
    thinking = {"reasoning_content": thought} if thought else {}
    if not asked.get("stream"):
        message = {"role": "assistant", "content": None, "tool_calls": calls, **thinking}
        return whole(start_response, completion(asked, message, "tool_calls"))
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    return [
        *([chunk(asked, thinking)] if thinking else []),
        *(chunk(asked, {"tool_calls": [part]}) for n, call in enumerate(calls) for part in pieces(n, call)),
        chunk(asked, {}, "tool_calls"),
        *last(asked, 5),
    ]


def pieces(n, call):
    """The head of a call, and its arguments in two parts."""
    function = call["function"]
    yield {**call, "index": n, "function": {**function, "arguments": ""}}
    yield from ({"index": n, "function": {"arguments": part}} for part in halves(function["arguments"]))


def halves(text: str) -> tuple[str, str]:
    return text[: len(text) // 2], text[len(text) // 2 :]


def stream(start_response, asked, said, script):
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    pause, cut = float(found(script, "pause", "0.005")), int(found(script, "cut", "0"))
    complete = False
    try:
        for n, word in enumerate(said, 1):
            yield chunk(asked, {"content": word})
            gevent.sleep(pause)
            if n == cut:
                raise CutOff
        yield chunk(asked, {}, "stop")
        yield from last(asked, len(said))
        complete = True
    finally:
        LOG["streams_ended" if complete else "closed_early"] += 1


def last(asked, words: int):
    if (asked.get("stream_options") or {}).get("include_usage"):
        yield event(asked, choices=[], usage=usage(words))
    yield b"data: [DONE]\n\n"


def chunk(asked, delta, finish_reason=None) -> bytes:
    return event(asked, choices=[{"index": 0, "delta": delta, "finish_reason": finish_reason}])


def event(asked, **more) -> bytes:
    body = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": asked["model"], **more}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def completion(asked, message, finish_reason):
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": asked["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": usage(5),
    }


def usage(words: int):
    return {"prompt_tokens": 12, "completion_tokens": words, "total_tokens": 12 + words}


def whole(start_response, body, status="200 OK"):
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]


class Handler(pywsgi.WSGIHandler):
    """Says nothing about connections that end in the midst, which is what some tests are about."""

    def get_environ(self):
        return {**super().get_environ(), "socket": self.socket}

    def handle_error(self, *error) -> None:
        self.close_connection = True


if __name__ == "__main__":
    server = pywsgi.WSGIServer(
        ("127.0.0.1", int(sys.argv[1])), application, log=None, handler_class=Handler, backlog=2048
    )
    server.serve_forever()
