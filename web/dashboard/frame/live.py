"""The stream of a page: says that something has changed, not what. The page asks for its parts again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from flask import Blueprint, Response, request

from core.jobs.document import Job
from core.jobs.watch import Event
from web import streams
from web.context import watcher
from web.doors import leaving, standing

views = Blueprint("live", __name__)

STREAM = "text/event-stream"
CHANGE = b"event: change\ndata:\n\n"
SIGNED_OUT = b"event: signed-out\ndata:\n\n"
Over = Callable[[], bool]
"""Tells whether a session has ended since its stream began."""
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@views.get("/live")
def live() -> Response:
    """Server-Sent Events: `change`, at most one a second, however much happens; `signed-out` is the last."""
    return of_events(lambda over: _changes(watcher().changes(over)))


def of_job(job: Job) -> Response:
    """The stream of a job's page: its words too, as `delta`; `restart` voids those before."""
    last = request.headers.get("Last-Event-ID")
    return of_events(lambda over: _of_job(watcher().follow(job["_id"], last, over=over)))


def of_events(events: Callable[[Over], Iterator[bytes]]) -> Response:
    """A page's stream of events, which end with its session: the function that they are given tells when."""
    leaving.hang_up_when_stuck(request.environ)
    over = standing.ended(None)
    response = Response(_until(over, events(over)), content_type=STREAM, headers=HEADERS)
    return streams.counted(response)


def _until(over: Over, events: Iterator[bytes]) -> Iterator[bytes]:
    yield b"event: ready\ndata:\n\n"
    for event in events:
        if over():
            break
        yield event
    if over():
        yield SIGNED_OUT


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
