"""What an answer says beside its text and its calls: images, sound, citations, parts that nobody knows. Pure.

https://openrouter.ai/docs/features/multimodal/image-generation (`images`, in deltas too),
https://platform.openai.com/docs/api-reference/chat (`annotations`, `audio`), https://docs.perplexity.ai/api-reference
and https://docs.x.ai/docs/guides/live-search (`citations`, `search_results`), read 2026-11.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from core.llm.plain import mapping, mappings, storable, text
from core.llm.types import Document

KNOWN = frozenset({"text", "output_text", "thinking", "refusal", "image_url"})
PARTS_OF_A_CALL = ("function", "custom")
CITED = ("citations", "search_results")
"""Told of the answer as a whole, by the message or beside it; a stream tells them again with each event."""
MOST = 4_000_000
"""Characters of JSON that come in pieces: the images, annotations and sound of one answer."""
MOST_CITED = 400_000
"""The same of each list that is told as a whole."""


class Beside:
    """Gathers it. `kept`: the fields of our message, but for its sound."""

    def __init__(self) -> None:
        self.kept: Document = {}
        self._audio: Document = {}
        self._pieces: dict[str, list[str]] = {"data": [], "transcript": []}
        self._left = MOST

    def all(self) -> Document:
        if not self._has_sound:
            return self.kept
        sound = {"data": _joined(self._pieces["data"]), "transcript": "".join(self._pieces["transcript"])}
        return {**self.kept, "audio": self._audio | sound}

    @property
    def _has_sound(self) -> bool:
        return bool(self._audio or any(self._pieces.values()))

    @property
    def has_begun(self) -> bool:
        """Is there more than citations? They alone are no answer."""
        return self._has_sound or any(name not in CITED for name in self.kept)

    def answer(self, body: Document) -> None:
        """What an answer, or an event of a stream, says of the whole: what is told later replaces it."""
        for name in CITED:
            given = body.get(name)
            items = (
                [item for item in given if isinstance(item, str | dict)] if isinstance(given, list) else []
            )
            if items:
                self.kept[name], _ = _fitting(items, MOST_CITED)

    def message(self, said: Document) -> None:
        """What a message or a delta adds."""
        self.answer(said)
        for name, more in (
            ("annotations", mappings(said.get("annotations"))),
            ("images", mappings(said.get("images")) + _parts(said, "image_url")),
        ):
            if more:
                fitting, self._left = _fitting(more, self._left)
                self.kept.setdefault(name, []).extend(fitting)
        self._hear(mapping(said.get("audio")))

    def _hear(self, audio: Document) -> None:
        for name, value in audio.items():
            if name not in self._pieces:
                fitting, self._left = _fitting([value], self._left)
                self._audio |= {text(name): one for one in fitting}
            elif isinstance(value, str):
                fitting, self._left = _fitting([value], self._left)
                self._pieces[name] += fitting


def joined(body: Document, said: Document) -> Document:
    """What a whole answer and its message say."""
    found = Beside()
    found.answer(body)
    found.message(said)
    return found.all()


def transcript(said: Document) -> str:
    """The words of what is said aloud, as they came: they are the answer's text."""
    words = mapping(said.get("audio")).get("transcript")
    return words if isinstance(words, str) else ""


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


def _fitting(items: list[Any], left: int) -> tuple[list[Any], int]:
    """The first of them, and the room that they leave."""
    found: list[Any] = []
    for item in items:
        plain = storable(item)
        left -= len(json.dumps(plain))
        if left < 0:
            return found, 0
        found.append(plain)
    return found, left


def _joined(pieces: list[str]) -> str:
    """Base64 of which each piece may end for itself, as at OpenAI."""
    if not any(piece.endswith("=") for piece in pieces[:-1]):
        return "".join(pieces)
    return base64.b64encode(b"".join(map(_decoded, pieces))).decode()


def _decoded(piece: str) -> bytes:
    try:
        return base64.b64decode(piece)
    except binascii.Error:
        return b""


def _parts(said: Document, kind: str) -> list[Document]:
    return [part for part in mappings(said.get("content")) if part.get("type") == kind]


def _known(part: Document) -> bool:
    kind: Any = part.get("type")
    return (isinstance(kind, str) and kind in KNOWN) or (kind is None and isinstance(part.get("text"), str))


def _is_call(call: Document) -> bool:
    return any(mapping(call.get(name)) for name in PARTS_OF_A_CALL)


def _kind(call: Document) -> str:
    return f"call of {text(call.get('type')) or 'untyped'}"
