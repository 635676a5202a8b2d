"""Clients that watch a job: Server-Sent Events and WebSocket, read as a browser would."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import simple_websocket

from tests.stack import ADMIN_KEY, Stack


class Heard(NamedTuple):
    kind: str
    data: Any
    id: str


class Sse:
    """The events of a job over SSE; `comments` counts heartbeats."""

    def __init__(self, stack: Stack, job_id: str, last_event_id: str | None = None) -> None:
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        url = f"{stack.url}/jobs/{job_id}/events"
        self.answer = stack.http.get(url, headers=headers, stream=True, timeout=60)
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


def socket(stack: Stack, job_id: str, last_event_id: str = "") -> simple_websocket.Client:
    url = f"ws://127.0.0.1:{stack.port}/api/v1/jobs/{job_id}/ws?last_event_id={last_event_id}"
    return simple_websocket.Client(url, headers={"Authorization": f"Bearer {ADMIN_KEY}"})


def messages(client: simple_websocket.Client):
    """What comes over a WebSocket until the server closes it."""
    while True:
        try:
            said = client.receive(timeout=60)
        except simple_websocket.ConnectionClosed:
            return
        assert said is not None, "nothing came for a minute"
        event = json.loads(said)
        yield Heard(event["event"], event["data"], event["id"])
