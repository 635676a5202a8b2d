"""Redaction: takes keys out of error texts, since providers echo them there. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST = 500
HIDDEN = "[redacted]"
PIECE = 8
"""A word that shares so many characters in a row with a secret holds a part of it; it is no chance."""

LOOKS_SECRET = re.compile(
    r"(?:sk|pk|gsk|xai|rk|key)[-_][A-Za-z0-9_*.…\-]{6,}|[Bb]earer\s+\S+|eyJ[A-Za-z0-9_\-.]{20,}"
    r"|\b[A-Za-z0-9_\-]{32,}\b"
)
WORD = re.compile(r"[^\s\"'`,;:<>(){}\[\]=]+")
MASK = re.compile(r"[*•…xX]{3,}|[*•…]+|\.{2,}")


def redact(text: str, secrets: Iterable[str], *, shapes: bool = True) -> str:
    """At most 500 characters of the text, without these secrets and parts of them; it can be stored.

    `shapes`: whatever looks like a key is hidden too.
    """
    text = text.encode(errors="replace").decode()
    secrets = [secret for secret in secrets if secret]
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    text = WORD.sub(lambda word: HIDDEN if _is_part(word[0], secrets) else word[0], text)
    if shapes:
        text = LOOKS_SECRET.sub(HIDDEN, text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _is_part(word: str, secrets: list[str]) -> bool:
    """Does the word hold a piece of a secret, or its two ends around a mask (`abc***xyz`)?"""
    pieces = {word[n : n + PIECE] for n in range(len(word) - PIECE + 1)}
    ends = MASK.split(word)
    for secret in secrets:
        if any(piece in secret for piece in pieces):
            return True
        if len(ends) > 1 and _begins_and_ends(secret, ends[0], ends[-1]):
            return True
    return False


def _begins_and_ends(secret: str, begin: str, end: str) -> bool:
    end = end.rstrip(".!?")
    return len(begin) + len(end) >= 3 and secret.startswith(begin) and secret.endswith(end)
