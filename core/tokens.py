"""Tokens: about how many a text has, when nobody has counted them. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

ANSWER = 4096
"""The tokens that an answer is taken to have when no `max_tokens` is set."""
A_PART = 1500
"""More than vendors count for a picture of ordinary size (1,105 at 1024 x 1024: OpenAI's vision guide)."""
BYTES = 4
"""About four letters make a token (openai.com/tokenizer)."""
BYTES_WITH_CARE = 3
"""The same for a caller that must not count too few."""
PICTURES = frozenset({"image_url", "image", "input_image"})


def about(messages: Iterable[Any], *more: Any) -> int:
    """The tokens of messages and of what is sent with them; all pictures and files count the same."""
    return _counted(messages, more, BYTES, lambda kind: kind != "text")


def at_most(messages: Iterable[Any], *more: Any) -> int:
    """More than `about`, and hardly ever less than a provider counts. A file counts by its bytes."""
    return _counted(messages, more, BYTES_WITH_CARE, lambda kind: kind in PICTURES)


def _counted(
    messages: Iterable[Any], more: tuple[Any, ...], bytes_a_token: int, is_flat: Callable[[Any], bool]
) -> int:
    parts, in_files, by_bytes = 0, 0, [one for one in more if one]
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, list):
            read = [part for part in content if not (isinstance(part, dict) and is_flat(part.get("type")))]
            parts += len(content) - len(read)
            in_files += sum(map(_in_file, content))
            message = {**message, "content": read}
        by_bytes.append(message)
    text = json.dumps(by_bytes, ensure_ascii=False, separators=(",", ":"))
    return (len(text.encode(errors="replace")) + in_files) // bytes_a_token + 1 + parts * A_PART


def _in_file(part: Any) -> int:
    """The bytes of a file that is read when the provider is called; they were written down at the door."""
    size = part.get("bytes") if isinstance(part, dict) and part.get("type") == "file" else None
    return size if isinstance(size, int) and isinstance(part.get("file_id"), str) else 0
