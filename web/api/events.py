"""Watching a job: Server-Sent Events and a WebSocket, both through the one `watch(job)`."""

from __future__ import annotations

import json
import selectors
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from flask import Response, current_app, request
from flask_openapi.types import ResponseDict
from pydantic import BaseModel, ConfigDict, Field
from simple_websocket import ConnectionClosed, Server
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import RemoteProtocolError

from core.accounts import keys, tickets
from core.clock import rfc3339, utcnow
from core.errors import Invalid, Unavailable
from core.jobs.views import UNASKED
from core.jobs.watch import Event
from web import auth, streams
from web.access import access
from web.answers import answer
from web.api.jobs import job_of_caller
from web.auth import LONGEST_KEY
from web.context import db, remembered, services, watcher, workspace_id
from web.doors import leaving, standing
from web.resource import Id, Nothing, resource
from web.shapes.jobs import Ticket
from web.specification.says import shows, tells

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from web.connection import Connection

api = resource("events", "Watching a job")

EVENTS: ResponseDict = {
    "200": {
        "description": "`status`, `delta`, `progress`, `restart`, `gap`, `done`; each as JobEvent has it",
        "content": {
            "text/event-stream": {
                "schema": {"type": "string"},
                "x-event": {"$ref": "#/components/schemas/JobEvent"},
            }
        },
    }
}
PING_S = 25
LONGEST_SAID = 4096
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class JobPath(BaseModel):
    job_id: Id


TICKET: Any = Field(None, max_length=LONGEST_KEY, description="of this job, in place of a key")


class EventsQuery(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    ticket: str | None = TICKET
    last_event_id: str | None = Field(None, max_length=100, description="goes on after this event")


@api.get("/jobs/<job_id>/events", responses=EVENTS)
@access(agent=True, ticket=True)
@tells(takes=("Last-Event-ID",))
def job_events(path: JobPath, query: EventsQuery) -> Response:
    """A job's events as they come (Server-Sent Events); ends with `done`, which carries the whole job."""
    job = job_of_caller(path.job_id, UNASKED)
    leaving.hang_up_when_stuck(request.environ)
    events = watcher().follow(job["_id"], _last(query), over=standing.ended(job["agent_id"]))
    response = Response(_sse(events), content_type="text/event-stream", headers=HEADERS)
    return streams.counted(response)


@api.get(
    "/jobs/<job_id>/ws",
    responses={"101": {"description": "The same events as JSON messages"}},
    websocket=True,
)
@access(agent=True, ticket=True)
@tells(takes=("Last-Event-ID",))
def job_socket(path: JobPath, query: EventsQuery) -> Response:
    """A job's events over a WebSocket: `{"event": …, "id": …, "data": …}`."""
    job = job_of_caller(path.job_id, UNASKED)
    leaving.hang_up_when_stuck(request.environ)
    over, end = standing.ended(job["agent_id"]), streams.take()
    try:
        socket = _accept(request.environ)
        for event in watcher().follow(job["_id"], _last(query), over=over):
            if event is not None:
                socket.send(json.dumps({"event": event.kind, "id": event.id, "data": event.data}))
            elif not socket.connected:
                break
        socket.close(CloseReason.POLICY_VIOLATION if over() else CloseReason.NORMAL_CLOSURE)
    except (ConnectionClosed, OSError):
        current_app.logger.debug("a watcher went away")
    finally:
        end()
    return _Upgraded()


def _last(query: EventsQuery) -> str | None:
    """Of the header, which browsers set when they resume; of the query, where a program asked for it."""
    return request.headers.get("Last-Event-ID") or query.last_event_id


@api.post("/jobs/<job_id>/ticket", responses=shows(Ticket, "A ticket", status=201))
@access(agent=True, own=True)
def make_ticket(path: JobPath, body: Nothing) -> Response:
    """For browsers, whose EventSource and WebSocket send no key: `?ticket=` opens this job's events for 60 s.

    A stream that is open then goes on. It ends with the key that asked for the ticket.
    """
    job = job_of_caller(path.job_id, UNASKED)
    asking = keys.of_text(db(), auth.presented(), utcnow(), remembered())
    ticket = tickets.Ticket(asking["_id"], workspace_id())
    text, ends = tickets.make(services().sealer, ticket, job["_id"], utcnow())
    return answer({"ticket": text, "expires_at": rfc3339(ends)}, 201)


def _accept(environ: dict[str, Any]) -> Server:
    """Take the connection over. What the client says is not listened to, and not kept."""
    connection = environ.get("gunicorn.socket")
    if connection is None:
        raise Unavailable("this server cannot take a WebSocket")
    whole = {**environ, "gunicorn.socket": _WholeSends(connection)}
    try:
        socket = Server(
            whole,
            ping_interval=PING_S,
            max_message_size=LONGEST_SAID,
            selector_class=partial(_Listening, connection),  # type: ignore[arg-type] # it is only called
        )
    except RemoteProtocolError as error:
        raise Invalid(f"not a WebSocket handshake: {error}", code="malformed") from None
    socket.input_buffer = cast("list[str | bytes]", deque(maxlen=1))
    return socket


class _WholeSends:
    """A socket whose `send` sends all, one message after another.

    simple-websocket 1.1.0 calls `send` once and forgets the rest of a long message, and its pings, which
    another thread sends, could fall into the midst of one.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, data: bytes) -> int:
        with self._lock:
            self._connection.sendall(data)
        return len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class _Listening:
    """A selector that waits for what a client says next: what it said before is unpacked by then."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._selector = selectors.DefaultSelector()

    def select(self, seconds: float) -> list[Any]:
        self._connection.unpacked(0)
        return self._selector.select(seconds)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._selector, name)


def _sse(events: Iterator[Event | None]) -> Iterator[bytes]:
    for event in events:
        if event is None:
            yield b": still here\n\n"
        else:
            yield f"id: {event.id}\nevent: {event.kind}\ndata: {json.dumps(event.data)}\n\n".encode()


class _Upgraded(Response):
    """Nothing is left to say: the connection was the WebSocket's, and is closed."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if "gunicorn.socket" in environ:
            raise StopIteration  # how a gunicorn worker is told that the socket was taken over
        return super().__call__(environ, start_response)
