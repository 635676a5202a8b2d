"""In which form an answer comes, whatever was asked for: one JSON, or an event stream. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain

BOM = b"\xef\xbb\xbf"
ENOUGH = 8
"""Bytes after the white space that tell the form: the name of a field and its colon."""
EVENTS = re.compile(rb"(data|event|id|retry)?[ \t]*:|data[\r\n]")
NO_EVENTS = (b"{", b"[", b"<", b'"')


def seen(chunks: Iterable[bytes], content_type: str, asked_stream: bool) -> tuple[bool, Iterator[bytes]]:
    """(is it an event stream, its bytes without white space in front).

    The first bytes decide; where they say nothing, the content type does, or what was asked for.
    """
    rest, start = iter(chunks), b""
    for chunk in rest:
        start = (start + chunk).removeprefix(BOM).lstrip()
        if len(start) >= ENOUGH or start.startswith(NO_EVENTS):
            break
    if start.startswith(NO_EVENTS):
        is_stream = False
    elif start:
        is_stream = EVENTS.match(start) is not None or "event-stream" in content_type.lower()
    else:
        is_stream = asked_stream
    return is_stream, chain((start,), rest)
