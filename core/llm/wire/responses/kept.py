"""What our message keeps of a response, and the next turn hands back: its reasoning, and the order. Pure.

Nothing is stored at OpenAI, so that the reasoning behind a tool's call is lost unless its item comes back,
with its `encrypted_content` unchanged and before the item that followed it
(https://developers.openai.com/api/docs/guides/reasoning, read 2026-11). A message says what was said and what
was called, but not in which order: a marker for each stands among its `thinking_blocks`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.llm.plain import count, mappings, storable, text
from core.llm.types import Document

PHASES = ("commentary", "final_answer")


def blocks(found: list[tuple[Document, str]]) -> list[Document]:
    """The `thinking_blocks` of an answer, from its items and the text of each; none without reasoning."""
    made = [block for item, said in found if (block := _block(item, said))]
    worth = any(block["type"] == "reasoning" or "phase" in block for block in made)
    return made if worth else []


def in_order(said: str, calls: list[Document], thinking_blocks: Any) -> list[Document]:
    """The items of an assistant's message: what it said and its calls, the reasoning for each in front.

    Reasoning that nothing follows is left out: OpenAI refuses it.
    """
    found: list[Document] = []
    waiting: list[Document] = []
    for item in _items(said, list(calls), mappings(thinking_blocks)):
        waiting.append(item)
        if item["type"] != "reasoning":
            found, waiting = found + waiting, []
    return found


def _items(said: str, calls: list[Document], marks: list[Document]) -> Iterator[Document]:
    """In the order of the marks; what has no mark comes last. Text that a client changed goes as one."""
    told = sum(_length(mark) for mark in marks) == len(said)
    for mark in marks:
        kind = mark.get("type")
        if kind == "reasoning" and text(mark.get("encrypted_content")):
            yield _reasoning(mark)
        if kind == "message" and said:
            end = _length(mark) if told else len(said)
            yield _message(said[:end], mark)
            said = said[end:]
        for call in [
            call for call in calls if kind == "function_call" and call["call_id"] == mark.get("call_id")
        ]:
            yield call
            calls.remove(call)
    if said:
        yield _message(said, {})
    yield from calls


def _block(item: Document, said: str) -> Document | None:
    kind = item.get("type")
    if kind == "reasoning":
        return _reasoning(item) if text(item.get("encrypted_content")) else None
    if kind == "message":
        return {"type": "message", "characters": len(said), **_phase(item)}
    return (
        {"type": "function_call", "call_id": text(item.get("call_id"))} if kind == "function_call" else None
    )


def _reasoning(item: Document) -> Document:
    return {
        "type": "reasoning",
        "id": text(item.get("id")),
        "summary": storable(mappings(item.get("summary"))),
        "encrypted_content": text(item.get("encrypted_content")),
    }


def _message(said: str, mark: Document) -> Document:
    return {"type": "message", "role": "assistant", "content": said, **_phase(mark)}


def _phase(of: Document) -> Document:
    """Whether a message is a comment on the way or the answer: newer models want to be told again."""
    return {"phase": of["phase"]} if of.get("phase") in PHASES else {}


def _length(mark: Document) -> int:
    return (count(mark.get("characters")) or 0) if mark.get("type") == "message" else 0
