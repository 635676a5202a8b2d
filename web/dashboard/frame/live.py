"""The stream of a page: says that something has changed, not what. The page asks for its parts again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from flask import Blueprint, Response, request

from core.accounts import sessions as stored
from core.clock import utcnow
from core.errors import Unauthorized
from web import sessions
from web.context import db, watcher
from web.doors import leaving

views = Blueprint("live", __name__)

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@views.get("/live")
def live() -> Response:
    """Server-Sent Events: `change`, at most one a second, however much happens; `signed-out` is the last."""
    leaving.hang_up_when_stuck(request.environ)
    text, store = sessions.cookie(), db()

    def still() -> bool:
        try:
            stored.find(store, text, utcnow())
        except Unauthorized:
            return False
        return True

    return Response(_told(watcher().changes(), still), content_type="text/event-stream", headers=HEADERS)


def _told(changes: Iterator[None], still: Callable[[], bool]) -> Iterator[bytes]:
    for _ in changes:
        if not still():
            yield b"event: signed-out\ndata:\n\n"
            return
        yield b"event: change\ndata:\n\n"
