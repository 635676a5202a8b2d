"""The transport: connections are kept and replaced, keys stay in their place, the guard stands before all."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import closing
from dataclasses import replace

import pytest

from core.outbound import connections
from core.outbound.errors import AddressForbidden, ConnectionCut, NoConnection, UnsendableHeader
from core.outbound.guard import Guard
from core.outbound.transport import Transport
from tests.providers.hasty import PATIENT
from tests.providers.scripted import answering, dying, head, provider
from tests.stack import free_ports
from tests.waiting import LONG_S, until

FINE = answering({"ok": True})


@pytest.fixture
def transport():
    made = to_here()
    yield made
    made.close()


def to_here(deadlines=PATIENT, **more):
    return Transport(Guard("127.0.0.1"), whole=deadlines, most_bytes=1_000_000, **more)


def post(transport, url, *, guarded=False, headers=None, body=b"{}"):
    with transport.post(url, headers or {}, body, guarded=guarded) as answer:
        return answer.status, answer.body()


def last_answer(*headers):
    """An answer that seems to keep the connection, which is then closed all the same."""

    def answer(write):
        FINE(write)
        return False

    return answer


@pytest.mark.parametrize("guarded", [False, True])
def test_a_connection_is_kept_between_calls(transport, guarded):
    with provider(FINE) as one:
        for _ in range(3):
            assert post(transport, one.url, guarded=guarded)[0] == 200
        assert one.connections == 1


def test_a_connection_that_was_closed_between_calls_is_replaced_unseen(transport):
    with provider(last_answer(), FINE) as one:
        assert post(transport, one.url)[0] == 200
        until(lambda: one.closed == 1, "it has closed the connection")
        assert post(transport, one.url)[0] == 200
        assert (len(one.received), one.connections) == (2, 2)


def test_a_connection_that_was_idle_for_long_is_replaced(transport, monkeypatch):
    monkeypatch.setattr(connections, "KEPT_S", 0.0)
    with provider(FINE) as one:
        for _ in range(2):
            assert post(transport, one.url)[0] == 200
        assert one.connections == 2


def test_a_request_that_may_have_been_read_is_not_sent_again(transport):
    with provider(FINE, dying, FINE) as one:
        assert post(transport, one.url)[0] == 200
        with pytest.raises(ConnectionCut) as cut:
            post(transport, one.url)
        assert cut.value.status is None
        assert [request.connection for request in one.received] == [0, 0]


def test_a_new_connection_that_is_cut_was_cut_and_not_refused(transport):
    with provider(dying) as one, pytest.raises(ConnectionCut) as cut:
        post(transport, one.url)
    assert cut.value.status is None


def test_who_asks_is_told_as_soon_as_something_is_sent(transport):
    said = []
    with provider(dying) as one:
        told = transport.post(
            one.url, {}, b"{}", guarded=False, sending=lambda: said.append(len(one.received))
        )
        with pytest.raises(ConnectionCut), told:
            pytest.fail("there is no answer")
    assert said == [0]


@pytest.mark.parametrize("ends", [True, False], ids=["hangs up", "says nothing"])
def test_and_not_while_a_connection_is_still_agreed_on(ends):
    transport, said = to_here(replace(PATIENT, connect=LONG_S if ends else 0.1)), []
    with closing(transport), socket.create_server(("127.0.0.1", 0)) as server:
        if ends:
            threading.Thread(target=lambda: server.accept()[0].close(), daemon=True).start()
        url = f"https://127.0.0.1:{server.getsockname()[1]}/v1"
        with (
            pytest.raises(NoConnection),
            transport.post(url, {}, b"{}", guarded=False, sending=lambda: said.append("sent")),
        ):
            pytest.fail("there is no answer")
    assert said == []


def test_a_connection_whose_answer_has_not_come_whole_is_not_used_again(transport):
    def half(write):
        write(head(200, "application/json", ("Content-Length", 10)))

    with provider(half, FINE) as one:
        with transport.post(one.url, {}, b"{}", guarded=False) as answer:
            assert answer.status == 200
        assert post(transport, one.url) == (200, b'{"ok": true}')
        assert one.connections == 2


@pytest.mark.parametrize("guarded", [False, True])
def test_nobody_listens(transport, guarded):
    with pytest.raises(NoConnection):
        post(transport, f"http://127.0.0.1:{free_ports(1)}/v1", guarded=guarded)


def test_a_key_that_no_header_can_carry_is_refused_before_anything_is_sent(transport):
    with provider(FINE) as one:
        for key in ("sk-two\nlines", "sk-two\n folded", "sk-\0", " sk", "sk-ключ"):
            with pytest.raises(UnsendableHeader):
                post(transport, one.url, headers={"x-api-key": key})
        assert one.received == []


def test_a_redirect_is_neither_followed_nor_read(transport):
    with provider(FINE) as two:
        moved = answering(b"x" * 10, 307, ("Location", two.url))
        with provider(moved) as one:
            assert post(transport, one.url)[0] == 307
        assert two.received == []


def test_a_cookie_is_not_carried_to_the_next_call(transport):
    with provider(answering({"ok": True}, 200, ("Set-Cookie", "session=1; Path=/"))) as one:
        post(transport, one.url)
        post(transport, one.url)
        assert ["cookie" in request.headers for request in one.received] == [False, False]


def test_only_the_configured_proxy_is_used(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with provider(FINE) as proxy:
        transport = to_here(proxy=proxy.url.removesuffix("/v1"))
        assert post(transport, "http://vendor.example.com/v1/x")[0] == 200
        assert proxy.received[0].path == "http://vendor.example.com/v1/x"
        with provider(FINE) as users:
            assert post(transport, users.url, guarded=True)[0] == 200
        assert len(proxy.received) == 1
        transport.close()


def test_a_proxy_is_told_the_user_and_the_password_of_its_url_and_a_provider_is_not():
    with provider(FINE) as proxy:
        host = proxy.url.removesuffix("/v1").removeprefix("http://")
        transport = to_here(proxy=f"http://us%40er:pass@{host}")
        assert post(transport, "http://vendor.example.com/v1/x")[0] == 200
        assert proxy.received[0].headers["proxy-authorization"] == "Basic dXNAZXI6cGFzcw=="
        assert "authorization" not in proxy.received[0].headers
        transport.close()


def test_a_request_of_megabytes_outlives_the_time_to_connect(transport):
    slow = to_here(replace(PATIENT, connect=1))
    server = socket.create_server(("127.0.0.1", 0))

    def read_slowly():
        connection, _ = server.accept()
        time.sleep(1.5)
        with connection:
            left = 5_000_000
            while left > 0:
                left -= len(connection.recv(65536))
            connection.sendall(head(200, "a/b", ("Content-Length", 2)) + b"{}")

    threading.Thread(target=read_slowly, daemon=True).start()
    url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
    assert post(slow, url, body=b"x" * 5_000_000) == (200, b"{}")
    slow.close()
    server.close()


def resolving(address):
    def resolve(host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    return resolve


def guarded_transport(allow, address):
    guard = Guard(allow, resolve=resolving(address))
    return Transport(guard, whole=PATIENT, most_bytes=1_000_000)


def test_a_name_that_leads_to_a_private_address_is_not_connected_to():
    with provider(FINE) as inside:
        port = inside.port
        transport = guarded_transport("", "127.0.0.1")
        for scheme in ("http", "https"):
            with pytest.raises(AddressForbidden):
                post(transport, f"{scheme}://models.example.com:{port}/v1", guarded=True)
        transport.close()
        assert inside.connections == 0


def test_the_address_that_was_checked_is_the_one_connected_to():
    """The name exists for our resolver alone: the system's own is not asked a second time."""
    with provider(FINE) as inside:
        port = inside.port
        transport = guarded_transport("127.0.0.1", "127.0.0.1")
        assert post(transport, f"http://only-here.example.com:{port}/v1", guarded=True)[0] == 200
        assert inside.received[0].headers["host"] == f"only-here.example.com:{port}"
        transport.close()


def test_whoever_takes_no_connection_or_nothing_that_is_sent_is_not_waited_for(transport, monkeypatch):
    ours, connecting, sending = set(), [], []

    class Watched(socket.socket):
        def connect(self, address):
            ours.add(self)
            connecting.append(self.gettimeout())
            super().connect(address)

        def sendall(self, data, *more):
            if self in ours:
                sending.append(self.gettimeout())
            super().sendall(data, *more)

    monkeypatch.setattr(connections.socket, "socket", Watched)
    with provider(FINE) as one:
        assert post(transport, one.url)[0] == 200
    assert [wait <= PATIENT.connect for wait in connecting] == [True]
    assert set(sending) == {connections.SEND_S}
