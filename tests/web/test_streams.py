"""Streams of events: one key holds so many at a time, and gives each back however it ends."""

from __future__ import annotations

import gevent
import pytest

from core.errors import RateLimited
from tests.factory import queued
from web.context import STREAMS
from web.crowd import Crowd
from web.streams import Streams
from web.worker import Worker


@pytest.fixture
def few(app):
    streams = app.extensions["vutler.streams"]
    streams.most = 2
    yield streams
    assert not streams.open


@pytest.fixture
def path(services, agent):
    return f"/jobs/{queued(services.db, workspace_id='default', agent_id=agent)['_id']}/events"


def test_a_key_that_holds_as_many_as_it_may_is_told_so_and_others_are_not(admin, member, path, few):
    held = [member.get(path) for _ in range(2)]
    refused = member.get(path)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
    assert "2 streams of events open" in refused.json["detail"]
    held.append(admin.get(path))
    assert [stream.status_code for stream in held] == [200, 200, 200]
    for stream in held:
        stream.close()


def test_whoever_closes_one_may_open_another(member, path, few):
    for _ in range(5):
        stream = member.get(path)
        assert stream.status_code == 200
        next(iter(stream.response))
        stream.close()


def test_a_socket_that_could_not_be_opened_is_not_held(member, path, few):
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
    answers = [member.get(path.replace("events", "ws"), headers=upgrade) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 503]


def test_one_that_ends_twice_is_given_back_once():
    streams = Streams(1)
    end = streams.take("k1")
    end()
    end()
    streams.take("k1")
    with pytest.raises(RateLimited):
        streams.take("k1")
    streams.take("k2")


def test_those_that_wait_end_when_their_process_is_to_end(app):
    streams, ended = app.extensions[STREAMS], []

    def follow():
        end = streams.take("k1")
        try:
            gevent.sleep(60)
        except ConnectionResetError:
            ended.append("k1")
        finally:
            end()

    following = [gevent.spawn(follow) for _ in range(2)]
    gevent.sleep(0)
    streams.take("k2")()  # of this greenlet, which goes on
    worker = Worker.__new__(Worker)
    worker.crowd, worker.wsgi = Crowd(10), app
    worker._hang_up()
    gevent.joinall(following, 10)
    assert (ended, dict(streams.open)) == (["k1", "k1"], {})
