"""A file on its way to a client: by the system where it can be, else in pieces; nobody waits for ever."""

from __future__ import annotations

import os
import threading

import gevent
import pytest
from gevent import socket

from core.drive.local import LocalStorage
from core.errors import StorageAway
from tests.core.drive.test_storages import KEY, kept
from web import sending
from web.sending import Sending

DATA = os.urandom(5_000_000)


@pytest.fixture
def local(tmp_path):
    storage = LocalStorage(tmp_path)
    kept(storage, DATA)
    return storage


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize(("start", "stop"), [(0, None), (7, 4_000_000), (5, 5)])
def test_the_part_that_is_asked_for_goes_to_the_socket_past_the_server(local, ends, start, stop):
    ours, theirs = ends
    got = []
    client = threading.Thread(target=lambda: got.append(all_of(os.dup(theirs.fileno()))))
    client.start()
    body = Sending(local.read(KEY, start, stop), {"gunicorn.socket": ours})
    assert list(body) == [b""]
    body.close()
    ours.shutdown(socket.SHUT_WR)
    client.join()
    assert got == [DATA[start:stop]]


def all_of(end):
    os.set_blocking(end, True)
    with open(end, "rb") as stream:
        return stream.read()


def test_where_there_is_no_socket_the_pieces_are_the_servers(local):
    body = Sending(local.read(KEY), {})
    assert b"".join(body) == DATA
    body.close()


def test_pieces_that_are_always_there_leave_others_their_turn(local, ends):
    other = gevent.spawn(ends[0].recv, 1)
    gevent.idle()
    ends[1].send(b"x")
    pieces = iter(Sending(local.read(KEY), {}))
    next(pieces), next(pieces), next(pieces)
    assert other.ready()


def test_a_client_that_takes_nothing_is_given_up(local, ends, monkeypatch):
    monkeypatch.setattr(sending, "EACH_PIECE_S", 0.05)
    with pytest.raises(TimeoutError):
        list(Sending(local.read(KEY), {"gunicorn.socket": ends[0]}))


def test_a_client_that_has_gone_is_an_error_of_the_socket(local, ends):
    ends[1].close()
    with pytest.raises(OSError, match="pipe"):
        list(Sending(local.read(KEY), {"gunicorn.socket": ends[0]}))


def test_a_file_that_became_shorter_is_an_error(local, ends):
    reading = local.read(KEY)
    os.truncate(local.folder / KEY, 10)
    with pytest.raises(StorageAway):
        list(Sending(reading, {"gunicorn.socket": ends[0]}))
