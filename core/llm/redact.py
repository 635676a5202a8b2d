"""Redaction: providers echo keys in their error texts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST = 500
HIDDEN = "[redacted]"
PIECE = 8
"""So many characters in a row of a secret are a part of it, not chance."""

LOOKS_SECRET = re.compile(
    r"(?:sk|pk|gsk|xai|rk|key)[-_][A-Za-z0-9_*.…\-]{6,}|[Bb]earer\s+\S+|eyJ[A-Za-z0-9_\-.]{20,}"
    r"|\b[A-Za-z0-9_\-]{32,}\b"
)
WORD = re.compile(r"[^\s\"'`,;:<>(){}\[\]=]+")
MASK = re.compile(r"[*•…xX]{3,}|[*•…]+|\.{2,}")


def redact(text: str, secrets: Iterable[str], *, shapes: bool = True) -> str:
    """The text, at most 500 characters, without these secrets or parts of them, as text that can be stored.

    `shapes`: without what merely looks like a key, too.
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
