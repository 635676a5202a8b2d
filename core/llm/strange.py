"""What providers say that is not known here: logged once a vendor, so that somebody looks, and counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import structlog
from pymongo import UpdateOne
from pymongo.database import Database

from core.clock import utcnow
from core.llm.records import Call, Unknown
from core.llm.redact import redact
from core.llm.types import Target

log = structlog.get_logger(__name__)

LONGEST = 200
NAME = re.compile(r"(call of )?[A-Za-z0-9_.-]{1,64}")


def note(target: Target, record: Call, what: Unknown, word: str) -> str:
    """Note it on the call; log it, if it is this vendor's first of its kind. Returns the word, redacted."""
    short = redact(word, target.api_key)[:LONGEST]
    record.setdefault("unknown", []).append(what)
    told = _told(urlsplit(target.base_url).hostname or target.provider, what)
    if not told:
        told.append(short)
        log.warning(
            "provider.unknown", provider=target.provider, model=target.model, what=what, said=_sayable(short)
        )
    return short


def _sayable(word: str) -> str:
    """A log is read by others than the job is: a word that is no name may hold what somebody said."""
    return word if NAME.fullmatch(word) else f"{len(word)} characters"


def count(db: Database[dict[str, Any]], calls: Iterable[Call]) -> None:
    """Add what was noted on these calls to the counters, which `/metrics` shows."""
    found = Counter((call["provider"], what) for call in calls for what in call.get("unknown", []))
    if found:
        db.provider_unknown.bulk_write(
            [
                UpdateOne(
                    {"_id": f"{provider}/{what}"},
                    {
                        "$inc": {"count": n},
                        "$set": {"provider": provider, "what": what, "last_at": utcnow()},
                    },
                    upsert=True,
                )
                for (provider, what), n in found.items()
            ]
        )


@lru_cache(maxsize=1000)
def _told(vendor: str, what: Unknown) -> list[str]:
    """What was logged of a vendor; empty if nothing was."""
    return []
