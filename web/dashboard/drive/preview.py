"""A look into a file: a picture is shown by the browser; the beginning of a text stands on the page."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from core.drive import media
from core.drive.work import same_storage
from web.context import storage

IMAGE, TEXT, NONE = "image", "text", ""
MOST = 64 * 1024
"""Bytes of a text that are shown."""


def kind(record: dict[str, Any]) -> str:
    """How it can be shown. What a browser might run (SVG, HTML) is a text here, or nothing."""
    media_type: str = record["media_type"]
    if media_type.startswith("image/") and media.is_shown(media_type):
        return IMAGE
    textual = media_type == "image/svg+xml" or media.TEXTUAL.fullmatch(media_type)
    return TEXT if textual else NONE


def text(record: dict[str, Any]) -> tuple[str, bool]:
    """Its beginning, and whether that is all of it. Raises `BytesMissing`, `StorageAway`."""
    same_storage(record, storage())
    if not record["size"]:
        return "", True
    with closing(storage().read(record["key"], 0, min(record["size"], MOST))) as reading:
        data = b"".join(reading)
    return data.decode(errors="replace"), record["size"] <= MOST
