"""Redaction: takes the key of a call out of its error texts, since providers echo it there. Pure.

What is hidden must not tell whoever chooses the words what the key is: a tenant's own endpoint chooses them,
and a vendor repeats those of a request. So a text is compared with the whole key alone, which nobody guesses;
parts of keys are known by their shape, whosever they are.
"""

from __future__ import annotations

import re
from urllib.parse import quote

LONGEST = 500
HIDDEN = "[redacted]"

LOOKS_SECRET = re.compile(
    r"(?:sk|pk|gsk|xai|rk|key)[-_][A-Za-z0-9_*.…\-]{6,}|[Bb]earer\s+\S+|eyJ[A-Za-z0-9_\-.]{20,}"
    r"|\b[A-Za-z0-9_\-]{32,}\b"
)
WORD = re.compile(r"[^\s\"'`,;:<>(){}\[\]=]+")
MASK = re.compile(r"[*•]{3,}|[xX]{4,}|…|\.{3,}")
FEWEST = 3
"""Characters around a mask; fewer tell nothing of a key."""


def redact(text: str, secret: str | None, *, shapes: bool = True) -> str:
    """At most 500 characters of the text, without this secret; it can be stored.

    `secret`: the key that went to whom the words come from, and no other: see above. `shapes`: whatever looks
    like a key, or like the two ends of one around a mask (`abc***xyz`), is hidden too.
    """
    text = text.encode(errors="replace").decode()
    for whole in (secret, quote(secret, safe="")) if secret else ():
        text = text.replace(whole, HIDDEN)
    if shapes:
        text = LOOKS_SECRET.sub(HIDDEN, text)
        text = WORD.sub(lambda word: HIDDEN if _is_masked(word[0]) else word[0], text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _is_masked(word: str) -> bool:
    """Dots that begin or end a word are a sentence's."""
    ends = MASK.split(word.strip(".!?…"))
    return len(ends) > 1 and len(ends[0]) + len(ends[-1]) >= FEWEST
