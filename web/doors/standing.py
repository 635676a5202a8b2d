"""Does the key of a request still stand? Asked while its answer goes on: a revoked key reads no further."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import structlog
from flask import g
from pymongo.database import Database
from pymongo.errors import PyMongoError

from core.accounts import keys, sessions
from core.accounts.keys import Caller
from core.accounts.tickets import Ticket
from core.clock import utcnow
from core.errors import Unauthorized
from web.auth import presented
from web.context import db, remembered
from web.sessions import cookie, of_dashboard

Document = dict[str, Any]

LOOK_S = 2.0
"""A stream ends within 5 s of its key: this, a second that a key is remembered, and what a look takes."""

log = structlog.get_logger(__name__)


def ended(agent_id: str | None) -> Callable[[], bool]:
    """Tells whether this request's key has ended since, or may not touch the agent any more.

    It may be called outside of the request, and as often as one likes: it reads once in `LOOK_S`.
    """
    return now_and_then(partial(_has_ended, _whose(db()), agent_id))


def now_and_then(look: Callable[[], bool], clock: Callable[[], float] = time.monotonic) -> Callable[[], bool]:
    """Calls `look` at most once in `LOOK_S`, for the first time after as long; True stays True."""
    looked_at, over = clock(), False

    def look_now() -> bool:
        nonlocal looked_at, over
        if not over and clock() - looked_at >= LOOK_S:
            looked_at, over = clock(), look()
        return over

    return look_now


def _whose(store: Database[Document]) -> Callable[[], Caller]:
    known = remembered()
    if of_dashboard():
        text = cookie()
        return lambda: sessions.find(store, text, utcnow())[1]
    if (ticket := g.get("ticket")) is not None:  # its key: the ticket itself only opens the door
        return lambda: cast(Ticket, ticket).caller(store, utcnow(), known)
    text = presented()
    return lambda: keys.authenticate(store, text, utcnow(), known)


def _has_ended(whose: Callable[[], Caller], agent_id: str | None) -> bool:
    try:
        return not whose().may_touch(agent_id)
    except Unauthorized:
        return True
    except PyMongoError as error:  # nobody can have revoked it in a store that is away
        log.warning("standing.store_away", error=type(error).__name__)
        return False
