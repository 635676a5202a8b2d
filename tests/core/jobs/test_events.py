"""Events of a job: bounded in number and in time, and no burden to the work when Redis is."""

from __future__ import annotations

import socket

import pytest

from core.config import Settings
from core.jobs import events
from core.jobs.events import Emitter, read, stream_key
from core.services import connect_redis


def test_they_are_forgotten_an_hour_after_they_were_told(redis_client):
    Emitter(redis_client, "j1", 1).emit("delta", {"text": "a"})
    assert 0 < redis_client.ttl(stream_key("j1")) <= events.KEPT_S


def test_of_very_many_the_last_are_kept(redis_client, monkeypatch):
    monkeypatch.setattr(events, "KEPT", 100)
    emitter = Emitter(redis_client, "j1", 1)
    for n in range(1000):
        emitter.emit("delta", {"n": n})
    assert 100 <= redis_client.xlen(stream_key("j1")) < 500
    assert [data["n"] for _, _, data in read(redis_client, "j1", (1, 998))] == [998, 999]


def test_a_redis_that_hangs_is_waited_for_once():
    """Not at every word of an answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as hanging:
        url = f"redis://127.0.0.1:{hanging.getsockname()[1]}"
        client = connect_redis(Settings(redis_url=url), timeout_s=0.1)
        emitter = Emitter(client, "j1", 1)
        for n in range(20):
            emitter.emit("delta", {"n": n})
        client.close()
        hanging.setblocking(False)
        hanging.accept()[0].close()
        with pytest.raises(BlockingIOError):
            hanging.accept()


def test_a_position_that_is_none_of_ours_is_the_beginning():
    for text in (None, "", "x", "1", "1-", "-1", "a-1", "9" * 5000 + "-1", "1-" + "9" * 5000):
        assert events.parse_position(text) == (0, 0)
    assert events.parse_position("2-17") == (2, 17)
