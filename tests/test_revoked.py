"""A key that is revoked while it reads: its streams end, on the real server, and the job goes on."""

from __future__ import annotations

import pytest
import requests

from tests.watching import Sse, WebSocket


@pytest.fixture
def agent(stack, obedient):
    return stack.agent("revoked", f"{obedient}/v1")


@pytest.fixture
def key(stack):
    """A member's key, and its id."""
    made = stack.http.post(f"{stack.url}/keys", json={"role": "member"}).json()
    return made["key"], made["id"]


def test_streams_end_with_their_key_and_the_job_goes_on(stack, agent, key):
    text, key_id = key
    asked = {"message": "words=200 pause=0.1", "stream": True}
    headers = {"Authorization": f"Bearer {text}"}
    job_id = requests.post(
        f"{stack.url}/agents/{agent}/chat", json=asked, headers=headers, timeout=60
    ).json()["id"]
    streams = [Sse(stack, job_id, key=text), WebSocket(stack, job_id, key=text)]
    for stream in streams:
        next(event for event in stream if event.kind == "delta")
    assert stack.http.delete(f"{stack.url}/keys/{key_id}").status_code == 204
    for stream in streams:
        assert "done" not in [event.kind for event in stream]
    assert stack.job(job_id)["status"] == "running"
    stack.http.post(f"{stack.url}/jobs/{job_id}/cancel")
