"""A log that lies on another host, asked for through Redis."""

import threading
from contextlib import ExitStack, closing, suppress

import pytest
import redis
import structlog

from core.errors import RateLimited, Unavailable
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


def asked(client, tail=10, follow=False, host="h1", agent="a1", workspace="w1"):
    return closing(log_requests.ask(client, host, workspace, agent, tail=tail, follow=follow))


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


def followers(client, stack, n, **more):
    """So many who follow, each past the last lines."""
    pieces = [stack.enter_context(asked(client, follow=True, **more)) for _ in range(n)]
    for each in pieces:
        next(each)
    return pieces


def test_as_many_followers_as_are_answered_at_once_keep_no_other_from_its_answer(
    server, redis_client, console
):
    console.write_text("one\n")
    with ExitStack() as stack:
        for n in range(log_requests.AT_ONCE + 1):
            followers(redis_client, stack, 1, workspace=f"w{n}")
        with asked(redis_client, workspace="another") as pieces:
            assert list(pieces) == [["one"]]


def test_those_who_follow_one_log_are_served_by_one_reading(server, redis_client, console, monkeypatch):
    reads, since = [], log_requests.log_file.since

    def counted(path, position):
        lines, after = since(path, position)
        reads.extend([path] if lines else [])
        return lines, after

    monkeypatch.setattr(log_requests.log_file, "since", counted)
    console.write_text("one\n")
    with ExitStack() as stack:
        before = threading.active_count()
        all_of_them = followers(redis_client, stack, 8)
        until(lambda: threading.active_count() <= before, "nobody who follows has a thread")
        with console.open("a") as out:
            out.write("two\n")
        for pieces in all_of_them:
            assert next(piece for piece in pieces if piece) == ["two"]
    assert reads == [console]


@pytest.mark.parametrize("follow", [True, False], ids=["follow", "the last lines"])
def test_a_workspace_that_follows_too_many_is_told_and_its_neighbour_is_served(
    server, redis_client, console, monkeypatch, follow
):
    monkeypatch.setattr(log_requests, "FOLLOWERS", 3)
    console.write_text("one\n")
    with ExitStack() as stack:
        followers(redis_client, stack, 3)
        with asked(redis_client, follow=follow) as pieces, pytest.raises(RateLimited) as told:
            next(pieces)
        assert told.value.retry_after == log_requests.RETRY_S
        with asked(redis_client, follow=follow, workspace="w2") as pieces:
            assert next(pieces) == ["one"]


def test_a_workspace_that_has_too_many_read_at_once_is_told_and_its_neighbour_is_served(
    server, redis_client, console, tmp_path, monkeypatch
):
    tail, slow = log_requests.log_file.tail, threading.Event()
    monkeypatch.setattr(
        log_requests.log_file, "tail", lambda path, n: (path == console and slow.wait(), tail(path, n))[1]
    )
    readers = [threading.Thread(target=answer, args=[redis_client]) for _ in range(log_requests.SHARE)]
    try:
        for reader in readers:
            reader.start()
        until(lambda: len(server._askers) == log_requests.SHARE)
        with asked(redis_client, agent="a2") as pieces, pytest.raises(RateLimited):
            next(pieces)
        with asked(redis_client, agent="a2", workspace="w2") as pieces:
            assert list(pieces) == [[]]
    finally:
        slow.set()
        for reader in readers:
            reader.join()
    with asked(redis_client, agent="a2") as pieces:
        assert list(pieces) == [[]]


def test_while_all_places_are_taken_by_reading_it_is_told(server, redis_client, console):
    for _ in range(log_requests.AT_ONCE):
        server._free.acquire()
    with asked(redis_client) as pieces, pytest.raises(RateLimited):
        next(pieces)


def test_the_place_of_who_goes_away_is_free_again(server, redis_client, console, monkeypatch):
    monkeypatch.setattr(log_requests, "FOLLOWERS", 1)
    console.write_text("one\n")
    with asked(redis_client, follow=True) as pieces:
        next(pieces)
        assert refused(redis_client)
    until(lambda: not refused(redis_client))
    until(lambda: not refused(redis_client), "the last lines alone take no place for long")


def refused(client):
    with asked(client) as pieces:
        try:
            return not list(pieces)
        except RateLimited:
            return True


def test_a_log_that_cannot_be_read_on_ends_and_the_others_go_on(server, redis_client, console, tmp_path):
    console.write_text("one\n")
    other = Folder(tmp_path / "a2")
    other.make()
    with asked(redis_client, agent="a2", follow=True) as broken, asked(redis_client, follow=True) as pieces:
        assert (next(broken), next(pieces)) == ([], ["one"])
        other.console.mkdir()
        assert [piece for piece in broken if piece] == []
        with console.open("a") as out:
            out.write("two\n")
        assert next(piece for piece in pieces if piece) == ["two"]


def test_who_follows_is_told_that_the_host_closes(server, redis_client, console):
    console.write_text("one\n")
    with asked(redis_client, follow=True) as pieces:
        next(pieces)
        until(lambda: server._followers())
        server.close()
        assert [piece for piece in pieces if piece] == []


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
