"""From the parts of one of OpenAI's messages to the content of an item. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.llm import unsaid
from core.llm.failures import ProviderRefused
from core.llm.plain import mapping, mappings, text
from core.llm.types import Document

FILE_FIELDS = ("file_data", "file_id", "filename")
OF_AN_IMAGE = unsaid.OF_AN_IMAGE | {"detail"}


def parts(content: Any, place: str) -> list[Document]:
    """Raises `ProviderRefused` for a part that this API does not take; it names the place."""
    found = []
    for part in mappings(content):
        kind = part.get("type")
        if not isinstance(kind, str) or kind not in PARTS:
            raise ProviderRefused(f"OpenAI's Responses API takes no {text(kind) or 'such'} part in {place}")
        unsaid.check_part(part, OF_AN_IMAGE, "OpenAI's Responses API", place)
        found.append(PARTS[kind](part, place))
    return found


def _text(part: Document, place: str) -> Document:
    return {"type": "input_text", "text": text(part.get("text"))}


def _image(part: Document, place: str) -> Document:
    image = mapping(part.get("image_url"))
    if not isinstance(image.get("url"), str):
        raise ProviderRefused(f"an image needs a `url`: see {place}")
    return {
        "type": "input_image",
        "image_url": image["url"],
        "detail": text(image.get("detail")) or "auto",
    }


def _file(part: Document, place: str) -> Document:
    file = mapping(part.get("file"))
    given = {name: file[name] for name in FILE_FIELDS if isinstance(file.get(name), str)}
    if not given:
        raise ProviderRefused(f"a file needs `file_data` or `file_id`: see {place}")
    return {"type": "input_file", **given}


PARTS: dict[str, Callable[[Document, str], Document]] = {"text": _text, "image_url": _image, "file": _file}
