"""Does the key of a request still stand? Asked while its answer goes on: a revoked key reads no further."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from pymongo.errors import PyMongoError

from core.accounts import keys
from core.clock import utcnow
from core.errors import Unauthorized
from web.auth import presented
from web.context import db, remembered

LOOK_S = 2.0
"""A stream ends within 5 s of its key: this, a second that a key is remembered, and what a look takes."""

log = structlog.get_logger(__name__)


def ended(agent_id: str | None) -> Callable[[], bool]:
    """Tells whether this request's key has ended since, or may not touch the agent any more.

    It may be called outside of the request, and as often as one likes: it reads once in `LOOK_S`.
    """
    store, text, known = db(), presented(), remembered()

    def look() -> bool:
        try:
            return not keys.authenticate(store, text, utcnow(), known).may_touch(agent_id)
        except Unauthorized:
            return True
        except PyMongoError as error:  # nobody can have revoked it in a store that is away
            log.warning("standing.store_away", error=type(error).__name__)
            return False

    return now_and_then(look)


def now_and_then(look: Callable[[], bool], clock: Callable[[], float] = time.monotonic) -> Callable[[], bool]:
    """Calls `look` at most once in `LOOK_S`, for the first time after as long; True stays True."""
    looked_at, over = clock(), False

    def look_now() -> bool:
        nonlocal looked_at, over
        if not over and clock() - looked_at >= LOOK_S:
            looked_at, over = clock(), look()
        return over

    return look_now
