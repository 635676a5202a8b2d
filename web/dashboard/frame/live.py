"""The stream of a page: says that something has changed, not what. The page asks for its parts again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

from flask import Blueprint, Response, request

from core.accounts import sessions as stored
from core.clock import utcnow
from core.errors import Unauthorized
from core.jobs.document import Job
from core.jobs.watch import Event
from web import sessions, streams
from web.context import db, watcher
from web.doors import leaving

views = Blueprint("live", __name__)

STREAM = "text/event-stream"
CHANGE = b"event: change\ndata:\n\n"
SIGNED_OUT = b"event: signed-out\ndata:\n\n"
LOOK_S = 2.0
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@views.get("/live")
def live() -> Response:
    """Server-Sent Events: `change`, at most one a second, however much happens; `signed-out` is the last."""
    return of_events(_changes(watcher().changes()))


def of_job(job: Job) -> Response:
    """The stream of a job's page: its words too, as `delta`; `restart` voids those before."""
    return of_events(_of_job(watcher().follow(job["_id"], request.headers.get("Last-Event-ID"))))


def of_events(events: Iterator[bytes]) -> Response:
    """A page's stream of these events, as long as the session goes on."""
    leaving.hang_up_when_stuck(request.environ)
    still = _session()
    response = Response(_while(still, events), content_type=STREAM, headers=HEADERS)
    return streams.counted(response)


def _session() -> Callable[[], bool]:
    """Tells, whenever it is called, whether the session goes on; a look at the store every few seconds."""
    text, store, looked = sessions.cookie(), db(), [float("-inf")]

    def still() -> bool:
        if time.monotonic() - looked[0] < LOOK_S:
            return True
        looked[0] = time.monotonic()
        try:
            stored.find(store, text, utcnow())
        except Unauthorized:
            return False
        return True

    return still


def _while(still: Callable[[], bool], events: Iterator[bytes]) -> Iterator[bytes]:
    yield b"event: ready\ndata:\n\n"
    for event in events:
        if not still():
            yield SIGNED_OUT
            return
        yield event


def _changes(changes: Iterator[None]) -> Iterator[bytes]:
    for _ in changes:
        yield CHANGE


def _of_job(events: Iterator[Event | None]) -> Iterator[bytes]:
    for event in events:
        if event is None:
            yield b": still here\n\n"
        elif event.kind in ("delta", "restart", "gap"):
            yield f"id: {event.id}\nevent: {event.kind}\ndata: {json.dumps(event.data)}\n\n".encode()
        else:
            yield CHANGE
    yield b"event: over\ndata:\n\n"
