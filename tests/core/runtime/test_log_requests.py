"""A log that lies on another host, asked for through Redis."""

import threading
from contextlib import closing, suppress

import pytest
import redis
import structlog

from core.errors import Unavailable
from core.runtime import log_requests
from core.runtime.folder import Folder
from core.runtime.log_requests import LogServer
from core.services import connect_redis
from tests.core.runtime.conftest import until


@pytest.fixture
def console(tmp_path):
    folder = Folder(tmp_path / "a1")
    folder.make()
    return folder.console


@pytest.fixture
def server(tmp_path, settings, redis_client):
    listening = connect_redis(settings)
    server = LogServer("h1", tmp_path, redis_client, listening)
    server.start()
    until(lambda: redis_client.pubsub_numsub(log_requests.channel("h1"))[0][1])
    yield server
    server.close()
    listening.close()


def asked(client, tail=10, follow=False, host="h1", agent="a1"):
    return closing(log_requests.ask(client, host, agent, tail=tail, follow=follow))


def test_the_last_lines_come_and_that_is_all(server, redis_client, console):
    console.write_text("one\ntwo\nthree\n")
    with asked(redis_client, tail=2) as pieces:
        assert list(pieces) == [["two", "three"]]


def test_no_log_is_no_lines(server, redis_client):
    with asked(redis_client, agent="another") as pieces:
        assert list(pieces) == [[]]


def answer(client):
    """All pieces; None while the host does not answer."""
    with asked(client) as pieces, suppress(Unavailable):
        return list(pieces)


@pytest.mark.parametrize(
    ("said", "times"),
    [("{", 1), ("[]", log_requests.AT_ONCE), ('{"reply": "r"}', log_requests.AT_ONCE)],
    ids=["no JSON", "a list", "no agent"],
)
def test_requests_that_are_none_keep_no_other_from_its_answer(server, redis_client, console, said, times):
    console.write_text("one\n")
    with structlog.testing.capture_logs() as logs:
        for n in range(1, times + 1):
            redis_client.publish(log_requests.channel("h1"), said)
            until(lambda n=n: len(logs) == n, "it is written down")
    assert until(lambda: answer(redis_client), "others are answered") == [["one"]]


def test_followed_what_is_written_comes_too(server, redis_client, console):
    console.write_text("one\n")
    with asked(redis_client, follow=True) as pieces:
        assert next(pieces) == ["one"]
        with console.open("a") as out:
            out.write("two\n")
        assert next(piece for piece in pieces if piece) == ["two"]


def test_nothing_of_it_stays_in_redis(server, redis_client, console):
    console.write_text("private\n")
    with asked(redis_client, follow=True) as pieces:
        next(pieces)
    with asked(redis_client) as pieces:
        next(pieces)
    until(lambda: redis_client.keys("vutler:log:*") == [])


def test_who_goes_away_is_not_followed_any_longer(server, redis_client, console):
    before = set(threading.enumerate())
    console.write_text("one\n")
    with asked(redis_client, follow=True) as pieces:
        next(pieces)
        followers = set(threading.enumerate()) - before
        assert followers
    until(lambda: not followers & set(threading.enumerate()))


def test_a_host_that_nobody_hears_from_is_told_at_once(redis_client):
    with asked(redis_client, host="h9") as pieces, pytest.raises(Unavailable, match="h9 does not answer"):
        next(pieces)


def test_what_went_wrong_is_told_also_when_redis_has_gone_away_meanwhile(redis_client, monkeypatch):
    def away(*_):
        raise redis.TimeoutError

    monkeypatch.setattr(redis_client, "delete", away)
    with asked(redis_client, host="h9") as pieces, pytest.raises(Unavailable, match="h9 does not answer"):
        next(pieces)


def test_a_host_that_hears_and_does_not_answer_is_told(redis_client, monkeypatch):
    monkeypatch.setattr(log_requests, "ANSWERED_WITHIN_S", 0.1)
    with redis_client.pubsub() as deaf:
        deaf.subscribe(log_requests.channel("h1"))
        deaf.get_message(timeout=60)
        with asked(redis_client) as pieces, pytest.raises(Unavailable, match="h1 does not answer"):
            next(pieces)


def test_who_follows_slowly_finds_the_rest_in_the_file(server, redis_client, console, monkeypatch):
    monkeypatch.setattr(log_requests, "MOST_AHEAD", 2)
    monkeypatch.setattr(log_requests, "FOLLOWED_EVERY_S", 0.01)
    console.write_text("0\n")
    with asked(redis_client, follow=True) as pieces:
        assert next(pieces) == ["0"]
        seen = []
        for n in range(1, 20):
            with console.open("a") as out:
                out.write(f"{n}\n")
        while len(seen) < 19:
            seen += next(pieces) or []
    assert seen == [str(n) for n in range(1, 20)]
