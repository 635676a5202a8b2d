"""Do we read what vendors really sent as their own SDKs do? `python -m bench.cassettes FOLDER [SEED]`.

FOLDER holds recorded cassettes of VCR (YAML), such as those of pydantic/pydantic-ai: they are not ours to
keep here. Each answer with the status 200 of OpenAI's chat completions and responses, of Anthropic's
messages, and of whoever speaks OpenAI's format is read by our wire, its bytes cut at random places, and by
the vendor's SDK; what differs in text, calls, reason to finish or tokens is printed. The exit code is 1 where
anything does.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response
from pydantic import TypeAdapter

from bench.choices import asked_for_help
from core.llm.exchange import KNOWN, borne_out
from core.llm.sse import Parser
from core.llm.wire import WIRES

Document = dict[str, Any]
PATHS = {"/chat/completions": "openai", "/messages": "anthropic", "/responses": "responses"}
EVENTS: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def main(folder: str, seed: str = "1") -> int:
    """Compare all of them; the exit code."""
    cut, seen, differing = random.Random(int(seed)), Counter[str](), Counter[str]()
    for name, host, wire, body in recorded(Path(folder)):
        streamed = is_stream(body)
        kind = f"{host} {wire} {'streamed' if streamed else 'whole'}"
        try:
            theirs = THEIRS[wire](body, streamed)
        except Exception as error:  # noqa: BLE001 - what the vendor's own SDK cannot read is no measure
            seen[f"{kind}: unreadable to the SDK ({type(error).__name__})"] += 1
            continue
        seen[kind] += 1
        try:
            mine = ours(wire, body, streamed, cut)
        except Exception as error:  # noqa: BLE001 - to be printed, and the next one read
            mine = {"error": f"{type(error).__name__}: {error}"}
        for field in theirs:
            if mine.get(field) != theirs[field]:
                differing[f"{kind}: {field}"] += 1
                both = (str(said)[:300] for said in (mine.get(field, mine), theirs[field]))
                print("{}\n  {}: ours   {!r}\n  theirs {!r}".format(name, field, *both))
    for counted in (seen, differing):
        print()
        for kind, number in sorted(counted.items()):
            print(f"{number:5} {kind}")
    print(f"\n{seen.total()} answers, {differing.total()} differences")
    if not seen:
        print(f"no answers are recorded in {folder}", file=sys.stderr)
    return int(differing.total() > 0 or not seen)


def recorded(folder: Path) -> Iterator[tuple[str, str, str, str]]:
    """Name, host, wire and body of each answer that one of our wires would read."""
    for path in sorted(folder.rglob("*.y*ml")):
        for n, one in enumerate(
            (yaml.load(path.read_text(), yaml.CSafeLoader) or {}).get("interactions") or []
        ):
            uri, answer = one["request"]["uri"].partition("?")[0], one["response"]
            wire = next((of for end, of in PATHS.items() if uri.endswith(end)), None)
            status = (answer.get("status") or {}).get("code", answer.get("status_code"))
            body = text_of(answer)
            if wire and body and status == 200:
                yield f"{path.name}#{n}", uri.split("/")[2], wire, body


def text_of(answer: Document) -> str | None:
    """The body as text; None for one that is compressed or empty."""
    body = answer.get("body") or answer.get("content") or {}
    if isinstance(body, dict) and "parsed_body" not in answer:
        body = body.get("string") or body.get("base64_string")
    if "parsed_body" in answer:
        return json.dumps(answer["parsed_body"])
    if isinstance(body, bytes):
        return body.decode(errors="replace") if body[:2] != b"\x1f\x8b" else None
    return body if isinstance(body, str) else None


def is_stream(body: str) -> bool:
    return body.lstrip()[:1] not in ("{", "[")


def ours(wire_name: str, body: str, streamed: bool, cut: random.Random) -> Document:
    """As `core.llm.exchange` reads it."""
    wire = WIRES[wire_name]  # type: ignore[index] # one of PATHS
    if streamed:
        parser, stream, data = Parser(), wire.Stream(), body.encode()
        while data:
            size = cut.randint(1, 200)
            for event in parser.feed(data[:size]):
                stream.feed(event)
            data = data[size:]
        for event in parser.close():
            stream.feed(event)
        if not stream.complete:
            raise ValueError("not complete")
        stream.end()
        answer = stream.answer()
    else:
        if failure := wire.failure_inside(json.loads(body)):
            raise failure
        answer = wire.from_wire(json.loads(body))
    message, usage = answer.message, answer.usage
    return {
        "text": (message.get("content") or "").strip(),
        "calls": calls(
            (call["id"], call["function"]["name"], call["function"]["arguments"])
            for call in message.get("tool_calls") or []
            if "function" in call
        ),
        "finish": borne_out(answer.finish_reason, message)
        if answer.finish_reason in KNOWN
        else answer.finish_reason,
        "tokens": (usage.tokens_input, usage.tokens_output, usage.tokens_cached) if usage else None,
    }


def calls(found: Iterator[tuple[str, str, str]]) -> list[tuple[str, str, Any]]:
    return [(id, name, json.loads(arguments or "{}")) for id, name, arguments in found]


def events(body: str) -> Iterator[Document]:
    """The JSON of each event, by splitting lines: these recordings are well formed."""
    for line in body.splitlines():
        data = line.removeprefix("data:").strip()
        if line.startswith("data:") and data != "[DONE]":
            yield json.loads(data)


def of_chat(body: str, streamed: bool) -> Document:
    if streamed:
        state: Any = ChatCompletionStreamState()
        for event in events(body):
            state.handle_chunk(ChatCompletionChunk.construct(**event))
        said = state.current_completion_snapshot
    else:
        said = ChatCompletion.construct(**json.loads(body))
    choice, usage = said.choices[0], said.usage
    found = choice.message.tool_calls or []
    cached = usage.prompt_tokens_details.cached_tokens if usage and usage.prompt_tokens_details else 0
    return {
        "text": (choice.message.content or "").strip(),
        "calls": calls((call.id, call.function.name, call.function.arguments) for call in found),
        "finish": choice.finish_reason,
        "tokens": (usage.prompt_tokens, usage.completion_tokens, cached or 0) if usage else None,
    }


def of_messages(body: str, streamed: bool) -> Document:
    said: Any = None
    if streamed:
        pieces: dict[int, bytes] = {}
        for event in events(body):
            if event["type"] != "ping":
                parsed = EVENTS.validate_python(event)
                said = accumulate_event(event=parsed, current_snapshot=said, json_bufs=pieces)
    else:
        said = Message.construct(**json.loads(body))
    usage = said.usage
    cached = usage.cache_read_input_tokens or 0
    return {
        "text": "".join(block.text or "" for block in said.content if block.type == "text").strip(),
        "calls": [(block.id, block.name, block.input) for block in said.content if block.type == "tool_use"],
        "finish": REASONS.get(said.stop_reason, said.stop_reason),
        "tokens": (
            usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0),
            usage.output_tokens,
            cached,
        ),
    }


def of_responses(body: str, streamed: bool) -> Document:
    if streamed:
        ended = [
            event for event in events(body) if event["type"] in ("response.completed", "response.incomplete")
        ]
        said: Any = Response.construct(**ended[-1]["response"])
    else:
        said = Response.construct(**json.loads(body))
    found = [item for item in said.output if item.type == "function_call"]
    reason = "length" if said.status == "incomplete" else "tool_calls" if found else "stop"
    usage = said.usage
    cached = usage.input_tokens_details.cached_tokens if usage and usage.input_tokens_details else 0
    return {
        "text": said.output_text.strip(),
        "calls": calls((item.call_id, item.name, item.arguments) for item in found),
        "finish": reason,
        "tokens": (usage.input_tokens, usage.output_tokens, cached) if usage else None,
    }


THEIRS = {"openai": of_chat, "anthropic": of_messages, "responses": of_responses}


if __name__ == "__main__":
    if not asked_for_help(__doc__, sys.argv[1:] or ["--help"]):
        sys.exit(main(*sys.argv[1:]))
