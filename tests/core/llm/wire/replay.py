"""The exchanges beside the tests: what vendors send, each labelled with where it comes from."""

from __future__ import annotations

import json
from pathlib import Path

from core.llm.sse import Parser
from core.llm.types import Target

EXCHANGES = {
    path.stem: json.loads(path.read_text())
    for path in sorted((Path(__file__).parent.parent / "exchanges").glob("*.json"))
}


def named(*words: str) -> list[str]:
    """The names of the exchanges that hold one of these keys."""
    return [name for name, exchange in EXCHANGES.items() if any(word in exchange for word in words)]


ANSWERS = {
    name: exchange
    for name, exchange in EXCHANGES.items()
    if "body" in exchange and "failure" not in exchange["means"]
}


def target(provider="openai", model="gpt-4o-mini", *, base_url="https://api.openai.com/v1", **more):
    wire = "anthropic" if provider == "anthropic" else "openai"
    given = {"api_key": "sk-test", "key_kind": "byokey", "wire": wire, **more}
    return Target(provider=provider, model=model, base_url=base_url, **given)


CLAUDE = target("anthropic", "claude-sonnet-4-5", base_url="https://api.anthropic.com/v1")
GPT = target()
RESPONSES = target(model="gpt-5.6-terra", wire="responses")
MINIMAX = target("minimax", "MiniMax-M2.5", base_url="https://api.minimax.io/v1")
GROQ = target("openai", "openai/gpt-oss-20b", base_url="https://api.groq.com/openai/v1", key_kind="custom")


def events(exchange, size=1 << 20):
    """The events of a streamed exchange, its bytes cut into pieces of this size."""
    raw = "\n".join(exchange["stream"]).encode() + b"\n"
    parser = Parser()
    for at in range(0, len(raw), size):
        yield from parser.feed(raw[at : at + size])
    yield from parser.close()
