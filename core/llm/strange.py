"""What providers say that is not known here: told in the log once a vendor, so that somebody looks."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal
from urllib.parse import urlsplit

import structlog

from core.llm.types import Target

log = structlog.get_logger(__name__)

What = Literal["finish_reason", "error", "part"]
LONGEST = 200


def note(target: Target, what: What, word: str) -> str:
    """Log it, if it is this vendor's first of its kind. Returns the word, short enough to be kept."""
    short = word[:LONGEST]
    told = _told(urlsplit(target.base_url).hostname or target.provider, what)
    if not told:
        told.append(short)
        log.warning("provider.unknown", provider=target.provider, model=target.model, what=what, said=short)
    return short


@lru_cache(maxsize=1000)
def _told(vendor: str, what: What) -> list[str]:
    """What was logged of a vendor; empty if nothing was."""
    return []
