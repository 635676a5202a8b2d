"""Names of files in HTTP headers: read from a form's part, written into a download's answer. Pure.

A name is any text. It is kept as it came, and never becomes part of a path.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

from core.errors import Invalid

LONGEST = 16 * 1024
"""Bytes of a name or a path, in UTF-8. Three times as long it must still fit into a header of an answer."""

# How browsers, curl, requests and httpx write it (WHATWG, "multipart form data", read 2026-11): three
# characters are percent-encoded, nothing is escaped by a backslash.
TODAY = re.compile(r'form-data; name="([^"]*)"(?:; filename="([^"]*)")?(;.*)?', re.DOTALL)
ENCODED = {"%0D": "\r", "%0A": "\n", "%22": '"'}
# How older clients do (RFC 2183): a token, or a quoted string with backslashes; RFC 5987 beside it.
OPTION = re.compile(r';\s*([\w-]+\*?)\s*=\s*("(?:[^"\\]|\\.)*"|[^;"]*)', re.DOTALL)
EXTENDED = re.compile(r"(utf-8|iso-8859-1)'[^']*'(.*)", re.IGNORECASE | re.DOTALL)
PLAIN = re.compile(r"[^\x20-\x7e]|[\"\\%]")


def of_part(disposition: str) -> tuple[str, str | None]:
    """(field, file name) of a part's Content-Disposition; None: it is no file. `filename*` is believed first.

    Raises `Invalid` for a header that names no field.
    """
    found = TODAY.fullmatch(disposition)
    if found is not None and not found[3]:
        return _decoded(found[1]), None if found[2] is None else _decoded(found[2])
    options = {name.lower(): value.strip() for name, value in OPTION.findall(disposition)}
    if not disposition.lower().startswith("form-data") or "name" not in options:
        raise Invalid("a part of the form names no field", code="malformed")
    extended = EXTENDED.fullmatch(options.get("filename*", ""))
    plain = options.get("filename")
    name = _extended(extended) if extended else None if plain is None else _unquoted(plain)
    return _unquoted(options["name"]), name


def disposition(name: str, *, attached: bool) -> str:
    """The Content-Disposition of a download: any name (RFC 6266, 5987), and a plain one for old clients."""
    how = "attachment" if attached else "inline"
    plain = PLAIN.sub("_", name.rpartition("/")[2])[:200]
    exact = f"; filename*=UTF-8''{quote(name, safe='')}" if name else ""
    return f'{how}; filename="{plain}"{exact}'


def checked(text: str, pointer: str) -> str:
    """The name or path, if it can be kept. Raises `Invalid`."""
    if len(text.encode()) > LONGEST:
        raise Invalid("too long a name", errors=[{"pointer": pointer, "detail": f"at most {LONGEST} bytes"}])
    return text


def _decoded(text: str) -> str:
    for encoded, character in ENCODED.items():
        text = text.replace(encoded, character)
    return text


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return _decoded(value)
    inside = value[1:-1]
    return re.sub(r"\\(.)", r"\1", inside, flags=re.DOTALL) if '\\"' in inside else _decoded(inside)


def _extended(found: re.Match[str]) -> str:
    try:
        return unquote_to_bytes(found[2]).decode(found[1])
    except UnicodeDecodeError:
        raise Invalid("a file's name is not text", code="malformed") from None
