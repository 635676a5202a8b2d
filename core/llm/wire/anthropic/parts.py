"""From the parts of one of OpenAI's messages to Anthropic's blocks. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from core.llm import unsaid
from core.llm.failures import ProviderRefused
from core.llm.plain import mapping, mappings, text
from core.llm.translations.anthropic import mark
from core.llm.types import Document

DATA_URL = re.compile(r"data:([a-z]+/[a-z0-9.+-]+);base64,", re.IGNORECASE)
IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")


def blocks(content: Any, place: str, *, text_only: bool = False) -> list[Document]:
    """Raises `ProviderRefused` for a part that Anthropic does not take there; it names the place."""
    if not isinstance(content, list):
        return _text({"text": content}, place)
    found: list[Document] = []
    for part in mappings(content):
        kind = part.get("type")
        of_kind = PARTS.get(kind) if isinstance(kind, str) else None
        if of_kind is None or (text_only and of_kind not in (_text, _refusal)):
            raise ProviderRefused(f"Anthropic takes no {text(kind) or 'such'} part in {place}")
        unsaid.check_part(part, unsaid.OF_AN_IMAGE, "Anthropic", place)
        found += [block | mark(part) for block in of_kind(part, place)]
    return found


def _text(part: Document, place: str) -> list[Document]:
    """No block for empty text or white space alone, which Anthropic refuses."""
    said = part.get("text")
    return [{"type": "text", "text": said}] if isinstance(said, str) and said.strip() else []


def _refusal(part: Document, place: str) -> list[Document]:
    return _text({"text": part.get("refusal")}, place)


def _image(part: Document, place: str) -> list[Document]:
    url = text(mapping(part.get("image_url")).get("url"))
    if url.lower().startswith("https://"):
        return [{"type": "image", "source": {"type": "url", "url": url}}]
    kind, data = _data(url)
    if kind not in IMAGES:
        raise ProviderRefused(
            f"Anthropic takes images by https, or as JPEG, PNG, GIF or WebP in a data URL: see {place}"
        )
    return [{"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}]


def _file(part: Document, place: str) -> list[Document]:
    file = mapping(part.get("file"))
    kind, data = _data(text(file.get("file_data")))
    if kind != "application/pdf":
        raise ProviderRefused(f"Anthropic takes files as PDF in a data URL only: see {place}")
    block: Document = {"type": "document", "source": {"type": "base64", "media_type": kind, "data": data}}
    return [block | ({"title": file["filename"]} if isinstance(file.get("filename"), str) else {})]


def _data(url: str) -> tuple[str, str]:
    """(media type, base64) of a data URL."""
    found = DATA_URL.match(url)
    return (found[1].lower(), url[found.end() :]) if found else ("", "")


PARTS: dict[str, Callable[[Document, str], list[Document]]] = {
    "text": _text,
    "refusal": _refusal,
    "image_url": _image,
    "file": _file,
}
