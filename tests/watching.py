"""Clients that watch a job: Server-Sent Events and WebSocket, read as a browser would."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any, NamedTuple

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Event, Ping, Request, TextMessage
from wsproto.frame_protocol import CloseReason

from tests.stack import ADMIN_KEY, Stack


class Heard(NamedTuple):
    kind: str
    data: Any
    id: str


class Sse:
    """The events of a job over SSE; `comments` counts heartbeats."""

    def __init__(
        self, stack: Stack, job_id: str, last_event_id: str | None = None, key: str = ADMIN_KEY
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        headers |= {"Last-Event-ID": last_event_id} if last_event_id else {}
        url = f"{stack.url}/jobs/{job_id}/events"
        self.answer = stack.http.get(url, headers=headers, stream=True)
        assert self.answer.status_code == 200, self.answer.text
        self.comments = 0
        self._lines = self.answer.iter_lines(chunk_size=None)

    def __iter__(self):
        return self

    def __next__(self) -> Heard:
        fields: dict[str, str] = {}
        for line in self._lines:
            name, _, value = line.decode().partition(": ")
            if not line and fields:
                return Heard(fields["event"], json.loads(fields["data"]), fields["id"])
            if not name and value:
                self.comments += 1
            elif line:
                fields[name] = value
        raise StopIteration

    def close(self) -> None:
        self.answer.close()


class WebSocket:
    """The events of a job over a WebSocket.

    By hand: the client of simple_websocket loses what comes in one piece with the answer to its handshake.
    """

    def __init__(self, stack: Stack, job_id: str, query: str = "", key: str = ADMIN_KEY, **more: str) -> None:
        target = f"/api/v1/jobs/{job_id}/ws{query}"
        headers = [(b"Authorization", f"Bearer {key}".encode())]
        headers += [(name.replace("_", "-").encode(), value.encode()) for name, value in more.items()]
        self._socket = socket.create_connection(("127.0.0.1", stack.port), timeout=60)
        self._wire = WSConnection(ConnectionType.CLIENT)
        self._tell(Request(host="127.0.0.1", target=target, extra_headers=headers))
        self._received = self._receive()
        assert isinstance(accepted := next(self._received), AcceptConnection), accepted

    def __iter__(self) -> Iterator[Heard]:
        """Until the server closes it, or cuts it off."""
        said = ""
        for event in self._received:
            if isinstance(event, Ping | CloseConnection):
                with contextlib.suppress(ConnectionError):
                    self._tell(event.response())
            if isinstance(event, TextMessage):
                said += event.data
                if event.message_finished:
                    told, said = json.loads(said), ""
                    yield Heard(told["event"], told["data"], told["id"])

    def send(self, text: str) -> None:
        self._tell(TextMessage(text))

    def close(self) -> None:
        self._tell(CloseConnection(CloseReason.NORMAL_CLOSURE))
        self._socket.close()

    def _receive(self) -> Iterator[Event]:
        with self._socket, contextlib.suppress(ConnectionError):
            while data := self._socket.recv(65536):
                self._wire.receive_data(data)
                yield from self._wire.events()

    def _tell(self, event: Event) -> None:
        self._socket.sendall(self._wire.send(event))
