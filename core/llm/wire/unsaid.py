"""What a message or a part asks for that a wire has no word for: refused by name, before the call. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from core.llm.failures import ProviderRefused
from core.llm.plain import mapping, text
from core.llm.types import Document

OF_A_MESSAGE = frozenset({"role", "content", "refusal", "tool_calls", "tool_call_id"})
AS_ANSWERED = frozenset(
    {
        "annotations",
        "images",
        "logprobs",
        "reasoning",
        "reasoning_content",
        "reasoning_details",
        "reasoning_from",
        "thinking_blocks",
    }
)
"""The fields that answers carry beside those: handed back, they ask for nothing."""
OF_A_PART = frozenset({"type", "text", "refusal", "image_url", "file", "cache_control"})
"""`cache_control` changes no answer: where it has no word it is left out."""
OF_AN_IMAGE = frozenset({"url"})
OF_A_FILE = frozenset({"file_data", "file_id", "filename"})
LONGEST = 60


def check(message: Document, vendor: str, place: str) -> None:
    """Raises `ProviderRefused` for a field that this vendor's format lacks. The name of a tool's result
    repeats that of its call, and asks for nothing.
    """
    repeated = {"name"} if message.get("role") == "tool" else set()
    check_fields(message, OF_A_MESSAGE | AS_ANSWERED | repeated, vendor, place)


def check_part(part: Document, of_an_image: Collection[str], vendor: str, place: str) -> None:
    """The same of a part. `of_an_image`: the fields that this vendor has of one."""
    image = mapping(part.get("image_url"))
    if image.get("detail") == "auto":
        image = {name: value for name, value in image.items() if name != "detail"}
    check_fields(part, OF_A_PART, vendor, place)
    check_fields(image, of_an_image, vendor, place)
    check_fields(mapping(part.get("file")), OF_A_FILE, vendor, place)


def check_fields(given: Document, known: Collection[str], vendor: str, place: str) -> None:
    for name, value in given.items():
        if name not in known and not _is_nothing(value):
            raise ProviderRefused(f"{vendor} has no `{text(name)[:LONGEST]}` there: leave it out of {place}")


def _is_nothing(value: Any) -> bool:
    """A value that means the same as none: clients write such fields into each message."""
    return value is None or value is False or value in ("", [], {})
