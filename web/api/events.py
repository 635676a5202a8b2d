"""Watching a job: Server-Sent Events and a WebSocket, both through the one `watch(job)`."""

from __future__ import annotations

import json
from collections.abc import Iterator

from flask import Response, current_app, request
from pydantic import BaseModel
from simple_websocket import ConnectionClosed, Server
from wsproto.events import TextMessage

from core.jobs.watch import Event
from web.access import access
from web.api.jobs import job_of_caller
from web.context import watcher
from web.resource import Id, resource

api = resource("events", "Watching a job")

EVENTS = {
    "200": {
        "description": "`status`, `delta`, `progress`, `restart`, `gap`, `done`; `Last-Event-ID` resumes",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class JobPath(BaseModel):
    job_id: Id


@api.get("/jobs/<job_id>/events", responses=EVENTS)
@access(agent=True)
def job_events(path: JobPath) -> Response:
    """A job's events as they come (Server-Sent Events); ends with `done`, which carries the whole job."""
    job = job_of_caller(path.job_id)
    events = watcher().follow(job["_id"], request.headers.get("Last-Event-ID"))
    return Response(_sse(events), content_type="text/event-stream", headers=HEADERS)


@api.get(
    "/jobs/<job_id>/ws",
    responses={"101": {"description": "The same events as JSON messages"}},
    websocket=True,
)
@access(agent=True)
def job_socket(path: JobPath) -> Response:
    """A job's events over a WebSocket: `{"event": …, "id": …, "data": …}`. `?last_event_id=` resumes."""
    job = job_of_caller(path.job_id)
    socket = Socket(request.environ, ping_interval=25)
    try:
        for event in watcher().follow(job["_id"], request.args.get("last_event_id")):
            if event is not None:
                socket.send(json.dumps({"event": event.kind, "id": event.id, "data": event.data}))
            elif not socket.connected:
                break
        socket.close()
    except ConnectionClosed:
        current_app.logger.debug("a watcher went away")
    return _Upgraded()


class Socket(Server):  # type: ignore[misc]
    """simple-websocket's server, which may send a part of a long message and forget the rest (1.1.0)."""

    def send(self, data: str) -> None:
        if not self.connected:
            raise ConnectionClosed(self.close_reason, self.close_message)
        self.sock.sendall(self.ws.send(TextMessage(data=data)))


def _sse(events: Iterator[Event | None]) -> Iterator[bytes]:
    for event in events:
        if event is None:
            yield b": still here\n\n"
        else:
            yield f"id: {event.id}\nevent: {event.kind}\ndata: {json.dumps(event.data)}\n\n".encode()


class _Upgraded(Response):
    """Nothing is left to say: the connection was the WebSocket's, and is closed."""

    def __call__(self, environ, start_response):  # type: ignore[no-untyped-def]
        if "gunicorn.socket" in environ:
            raise StopIteration  # how a gunicorn worker is told that the socket was taken over
        return super().__call__(environ, start_response)
