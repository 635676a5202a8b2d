"""Reads JSON that may be anything: each function returns a value of its type, or the empty one. Pure.

The values can be sent on, and kept by `core.store.free_json`: no lone surrogates, no numbers that a database
cannot hold.
"""

from __future__ import annotations

import html
import math
import re
from typing import Any

from core.llm.types import Document
from core.store.free_json import BIGGEST_INTEGER, DEEPEST

MOST_TOKENS = 10**12
PAGE = re.compile(r"\s*<(!doctype html|html|head|body|h1)\b", re.IGNORECASE)
TAGS = re.compile(r"<(style|script)\b.*?(</\1\s*>|$)|<!--.*?(-->|$)|<[^>]*(>|$)", re.IGNORECASE | re.DOTALL)


def mapping(value: Any) -> Document:
    return value if isinstance(value, dict) else {}


def mappings(value: Any) -> list[Document]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def readable(said: str) -> str:
    """What a gateway's page says, on one line; any other text as it is."""
    if not PAGE.match(said):
        return said
    return " ".join(html.unescape(TAGS.sub(" ", said)).split())


def count(value: Any) -> int | None:
    """A number of tokens: whole, not negative, not absurd."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_TOKENS:
        return None
    return value


def storable(value: Any, depth: int = 0) -> Any:
    """The same JSON, without the values that cannot be kept."""
    if isinstance(value, dict | list) and depth >= DEEPEST:
        return None
    if isinstance(value, dict):
        return {text(key): storable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [storable(item, depth + 1) for item in value]
    if isinstance(value, str):
        return text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and not -BIGGEST_INTEGER <= value < BIGGEST_INTEGER:
        return None
    return value
