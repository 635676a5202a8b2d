"""Tokens: about how many a text has, when nobody has counted them. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

ANSWER = 4096
"""The tokens that an answer is taken to have when no `max_tokens` is set."""
OF_ANTHROPIC = 8192
"""Anthropic wants a limit, and is told this one then. Every model since Claude 3.5 can answer this much, and
it leaves room to think."""
A_PART = 1500
"""More than vendors count for a picture of ordinary size (1,105 at 1024 x 1024: OpenAI's vision guide)."""
BYTES = 4
"""About four letters make a token (openai.com/tokenizer)."""
BYTES_WITH_CARE = 3
"""The same for a caller that must not count too few."""
NEVER_SENT = frozenset({"annotations", "citations", "images", "logprobs", "search_results"})
"""Fields of an answer's message that no provider is told again."""
PICTURES = frozenset({"image_url", "image", "input_image"})
ADDRESSES = ("file_id", "file_url", "url")
"""The fields by which a part names what it does not bring."""


def answer(wire: str) -> int:
    """The tokens of an answer of which nobody said how long it may be, in this wire format."""
    return OF_ANTHROPIC if wire == "anthropic" else ANSWER


def sent(message: dict[str, Any]) -> dict[str, Any]:
    """The message as providers are told it again: without its sound, whose words are its text."""
    audio = message.get("audio")
    spoken = {"audio"} if isinstance(audio, dict) and "data" in audio else set()
    return {name: value for name, value in message.items() if name not in NEVER_SENT | spoken}


def is_picture(part: Any) -> bool:
    """Also one of the drive, whose bytes were written down as none."""
    if not isinstance(part, dict):
        return False
    return part.get("type") in PICTURES or (_is_stored(part) and part.get("bytes") == 0)


def is_elsewhere(part: Any) -> bool:
    """Does a provider have its content, or fetch it? Nobody here knows how long it is."""
    if not isinstance(part, dict) or is_picture(part) or _is_stored(part):
        return False
    places = [part, *(value for value in part.values() if isinstance(value, dict))]
    told = (place.get(name) for place in places for name in ADDRESSES)
    return any(isinstance(one, str) and not one.startswith("data:") for one in told)


def about(messages: Iterable[Any], *more: Any) -> int:
    """The tokens of messages and of what is sent with them; all pictures and files count the same."""
    return _counted(messages, more, BYTES, lambda part: part.get("type") != "text")


def at_most(messages: Iterable[Any], *more: Any) -> int:
    """More than `about`, and hardly ever less than a provider counts. A file counts by its bytes."""
    return _counted(messages, more, BYTES_WITH_CARE, is_picture)


def _counted(
    messages: Iterable[Any], more: tuple[Any, ...], bytes_a_token: int, is_flat: Callable[[Any], bool]
) -> int:
    parts, in_files, by_bytes = 0, 0, [one for one in more if one]
    for message in messages:
        content = None
        if isinstance(message, dict):
            message = sent(message)
            content = message.get("content")
        if isinstance(content, list):
            read = [part for part in content if not (isinstance(part, dict) and is_flat(part))]
            parts += len(content) - len(read)
            in_files += sum(map(_in_file, content))
            message = {**message, "content": read}
        by_bytes.append(message)
    text = json.dumps(by_bytes, ensure_ascii=False, separators=(",", ":"))
    return (len(text.encode(errors="replace")) + in_files) // bytes_a_token + 1 + parts * A_PART


def _in_file(part: Any) -> int:
    """The bytes of a file that is read when the provider is called; they were written down at the door."""
    size = part.get("bytes") if isinstance(part, dict) and _is_stored(part) else None
    return size if isinstance(size, int) else 0


def _is_stored(part: dict[str, Any]) -> bool:
    """A file of the drive."""
    return part.get("type") == "file" and isinstance(part.get("file_id"), str)
