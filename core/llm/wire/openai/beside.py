"""What an answer says beside its text and its calls: images, citations, and parts that nobody knows. Pure.

https://openrouter.ai/docs/features/multimodal/image-generation (`images`, in deltas too) and
https://platform.openai.com/docs/api-reference/chat (`annotations`), read 2026-11.
"""

from __future__ import annotations

from typing import Any

from core.llm.plain import mapping, mappings, storable, text
from core.llm.types import Document

KNOWN = frozenset({"text", "output_text", "thinking", "refusal", "image_url"})
PARTS_OF_A_CALL = ("function", "custom")


def add(kept: Document, said: Document) -> None:
    """To what is kept so far, what a message or a delta adds to it."""
    for name, more in (
        ("annotations", mappings(said.get("annotations"))),
        ("images", mappings(said.get("images")) + _parts(said, "image_url")),
    ):
        if more:
            kept.setdefault(name, []).extend(storable(more))


def joined(said: Document) -> Document:
    """What a whole message says."""
    kept: Document = {}
    add(kept, said)
    return kept


def refusal(said: Document) -> str:
    """In its own field, or as a part; as it came: `core.llm.plain.text` makes it whole."""
    own, within = said.get("refusal"), (part.get("refusal") for part in _parts(said, "refusal"))
    if isinstance(own, str) and own:
        return own
    return "".join(words for words in within if isinstance(words, str))


def unknown(said: Document) -> tuple[str, ...]:
    """The types of parts and calls that are not understood; the text of such a part is taken all the same."""
    kinds = [
        text(part.get("type")) or "untyped" for part in mappings(said.get("content")) if not _known(part)
    ]
    return (*kinds, *(_kind(call) for call in mappings(said.get("tool_calls")) if not _is_call(call)))


def _parts(said: Document, kind: str) -> list[Document]:
    return [part for part in mappings(said.get("content")) if part.get("type") == kind]


def _known(part: Document) -> bool:
    kind: Any = part.get("type")
    return (isinstance(kind, str) and kind in KNOWN) or (kind is None and isinstance(part.get("text"), str))


def _is_call(call: Document) -> bool:
    return any(mapping(call.get(name)) for name in PARTS_OF_A_CALL)


def _kind(call: Document) -> str:
    return f"call of {text(call.get('type')) or 'untyped'}"
