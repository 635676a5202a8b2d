"""Media types: what a file is, by its content; and which of them a browser shows without running anything."""

from __future__ import annotations

import mimetypes
import re

import puremagic

HEAD = 40_000
FOOT = 1_000
"""So much of a file's beginning and end is looked at: puremagic's farthest signs are at 36,870 and 516."""
SHORTEST_SIGN = 3
"""`BM` begins a bitmap, and many a text. A shorter sign counts only where the name says the same."""
UNKNOWN = "application/octet-stream"
TEXT = "text/plain"

# Texts that are more than text, whatever they are called. (What each begins with, its type.) A comment ends
# where it first ends: the ways to divide many of them otherwise double with each.
TEXT_SIGNS = (
    (re.compile(rb"%PDF-"), "application/pdf"),
    (re.compile(rb"\{\\rtf"), "application/rtf"),
    (re.compile(rb"%!PS"), "application/postscript"),
    (
        re.compile(rb"(?>(<\?xml[^>]*>|<!--.*?-->|<!doctype svg[^>]*>)\s*)*+<svg[\s>]", re.I | re.S),
        "image/svg+xml",
    ),
    (
        re.compile(rb"(?><!--.*?-->\s*)*+<(!doctype html|html|head|body|script|iframe)[\s>]", re.I | re.S),
        "text/html",
    ),
    (re.compile(rb"<\?xml\s", re.I), "application/xml"),
)
BOM = b"\xef\xbb\xbf"
NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
TEXTUAL = re.compile(r"text/.+|application/(json|javascript|x-sh|.*(json|xml|yaml|toml|csv))")
OUR_NAMES = {".md": "text/markdown", ".yaml": "application/yaml", ".yml": "application/yaml", ".ts": TEXT}
NAMES = mimetypes.MimeTypes(filenames=())
"""The table that comes with Python; that of the machine differs from host to host."""

SHOWN = re.compile(r"image/(png|jpeg|gif|webp|avif|bmp)|audio/[\w.+-]+|video/[\w.+-]+|text/plain")


class Sample:
    """What is looked at of a file that goes by in pieces."""

    def __init__(self) -> None:
        self.head = b""
        self.foot = b""

    def feed(self, piece: bytes) -> None:
        if len(self.head) < HEAD:
            self.head += piece[: HEAD - len(self.head)]
        self.foot = piece[-FOOT:] if len(piece) >= FOOT else (self.foot + piece)[-FOOT:]


def media_type(sample: Sample, name: str) -> str:
    """What the content says; where it says nothing but that it is text, the name may say which."""
    said = by_name(name)
    if _is_text(sample.head):
        begins = sample.head.removeprefix(BOM).lstrip()
        found = next((kind for sign, kind in TEXT_SIGNS if sign.match(begins)), None)
        return found or (said if said and TEXTUAL.fullmatch(said) else TEXT)
    return _by_signs(sample.head + sample.foot, name) or UNKNOWN


def by_name(name: str) -> str | None:
    """What a name's ending stands for; nothing of it is believed alone."""
    _, dot, ending = name.rpartition(".")
    ending = (dot + ending).lower()
    return OUR_NAMES.get(ending) or NAMES.types_map[True].get(ending)


def is_shown(media_type: str) -> bool:
    """May a browser show it where it stands? Whatever it might run, it gets as a file."""
    return SHOWN.fullmatch(media_type) is not None


def _is_text(head: bytes) -> bool:
    """UTF-8 without control characters; the last character may be cut off."""
    if NO_TEXT.search(head):
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return len(head) == HEAD and error.start >= len(head) - 3
    return True


def _by_signs(data: bytes, name: str) -> str | None:
    try:
        found = puremagic.magic_string(data, name)
    except puremagic.PureError:
        return None
    best = (sign for sign in found if sign.confidence == found[0].confidence)
    agreed = (sign for sign in best if len(sign.byte_match) >= SHORTEST_SIGN or _ends(name, sign.extension))
    return next((sign.mime_type for sign in agreed if sign.mime_type), None)


def _ends(name: str, extension: str) -> bool:
    return bool(extension) and name.lower().endswith(extension)
