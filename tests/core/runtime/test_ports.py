"""Ports for agents' processes."""

import socket

from core.runtime import ports


def test_a_port_is_free_until_somebody_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not ports.free(port)
    assert ports.free(port)


def test_each_candidate_comes_once_whatever_the_first_is():
    assert list(ports.candidates("18900-18903", start=18902)) == [18902, 18903, 18900, 18901]
    assert sorted(ports.candidates("18900-18999")) == list(range(18900, 19000))
