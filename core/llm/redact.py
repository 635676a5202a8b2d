"""Redaction: providers echo keys in their error texts. Pure."""

from __future__ import annotations

import re

LONGEST = 500
HIDDEN = "[redacted]"
LOOKS_SECRET = re.compile(
    r"(?:sk|pk|gsk|xai|rk|key|eyJ)[-_][A-Za-z0-9_*.\-]{6,}|[Bb]earer\s+\S+|eyJ[A-Za-z0-9_\-.]{20,}"
    r"|\b[A-Za-z0-9_\-]{32,}\b"
)


def redact(text: str, secrets: list[str | None]) -> str:
    """The text, at most 500 characters, without these secrets, their ends, or what looks like a key."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, HIDDEN)
    text = LOOKS_SECRET.sub(HIDDEN, text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
