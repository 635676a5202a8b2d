"""What is sent is, byte for byte, what requests would have sent, which is asked for less of it."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager

import pytest
import requests
import urllib3

from core.outbound.connections import adapter
from core.outbound.errors import NoConnection
from core.outbound.guard import Guard
from core.outbound.transport import ALWAYS, Transport
from tests.providers.hasty import PATIENT
from tests.waiting import LONG_S

URLS = [
    "http://127.0.0.1:{port}",
    "http://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/v1/chat/completions",
    "HTTP://Models.Example.COM:{port}/V1",
    "http://models.example.com.:{port}/v1",
    "http://models.example.com:{port}//a/../b/./c/",
    "http://models.example.com:{port}/v1?key=a&empty=&again=a#part",
    "http://models.example.com:{port}?key=a",
    "http://models.example.com:{port}/a b/ü/%7Euser/%zz/%2f?q=ü %2F&r=[x]|y",
    "http://bücher.example.com:{port}/v1",
    "http://xn--bcher-kva.example.com:{port}/v1",
    "http://[fe80::1%25lo]:{port}/v1",
    "  http://127.0.0.1:{port}/v1",
    "http://us%40er:pa%20ss@127.0.0.1:{port}/v1",
    "http://user@127.0.0.1:{port}/v1",
]
HEADERS = [
    {},
    {"Authorization": "Bearer sk-1", "OpenAI-Organization": "org"},
    {"content-type": "text/plain", "x-api-key": "sk-\xe9\xff", "X-Empty": ""},
]
BODIES = [b"", b"{}", "ü\r\n\r\n".encode() * 30_000]
INVALID = [
    "",
    "models.example.com/v1",
    "http://",
    "http:///v1",
    "http://*.example.com/v1",
    "http://.example.com/v1",
    f"http://{'ü' * 64}.example.com/v1",
    "http://[::1/v1",
    "http://127.0.0.1:port/v1",
    "http://127.0.0.1:99999/v1",
    "ftp://models.example.com/v1",
    "ftp://models.example.com:99999/v1",
    "httpx://models.example.com/v1",
    "mailto:models.example.com",
]
GUARD = Guard(
    "127.0.0.1",
    resolve=lambda host, port, **_: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))],
)


class Listener:
    """Answers each request, and keeps its bytes."""

    def __init__(self, server):
        self.port = server.getsockname()[1]
        self.received = []
        self._server = server

    def run(self):
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return  # the test is over
            with connection, connection.makefile("rb") as file:
                head = [file.readline()]
                while head[-1].strip():
                    head.append(file.readline())
                lengths = [int(line[15:]) for line in head if line.lower().startswith(b"content-length:")]
                self.received.append(b"".join(head) + file.read(sum(lengths)))
                connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")


@contextmanager
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        listener = Listener(server)
        threading.Thread(target=listener.run, daemon=True).start()
        yield listener
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def transport():
    made = Transport(GUARD, whole=PATIENT, most_bytes=1_000_000)
    yield made
    made.close()


@pytest.fixture
def plain():
    """The adapter of requests, but for where it connects to."""
    made = requests.adapters.HTTPAdapter()
    made.poolmanager.pool_classes_by_scheme = adapter(GUARD).pools
    yield made
    made.close()


def sent_by(plain, url, headers=None, body=b"", **more):
    request = requests.Request("POST", url, headers={**ALWAYS, **(headers or {})}, data=body).prepare()
    with plain.send(request, stream=True, timeout=LONG_S, **more) as answer:
        assert answer.raw.read() == b""


def sent(transport, url, headers=None, body=b"", *, guarded=True):
    with transport.post(url, headers or {}, body, guarded=guarded) as answer:
        assert answer.body() == b""


@pytest.mark.parametrize("url", URLS)
def test_the_bytes_of_a_request_are_those_of_requests(transport, plain, url):
    with listening() as listener:
        url = url.format(port=listener.port)
        for headers in HEADERS:
            for body in BODIES:
                sent_by(plain, url, headers, body)
                for _ in range(2):
                    sent(transport, url, headers, body)
                expected, first, again = listener.received
                assert expected.startswith(b"POST /")
                assert expected.endswith(b"\r\n\r\n" + body)
                assert first == again == expected
                listener.received.clear()


def test_through_a_proxy_they_are_too(plain):
    with listening() as listener:
        proxy = f"http://user:pass@127.0.0.1:{listener.port}"
        transport = Transport(GUARD, whole=PATIENT, most_bytes=1_000_000, proxy=proxy)
        for url in ("http://vendor.example.com/v1?a=b", "http://us:er@vendor.example.com:8000/v1"):
            sent_by(plain, url, {}, b"{}", proxies={"http": proxy})
            sent(transport, url, {}, b"{}", guarded=False)
        transport.close()
        assert listener.received[::2] == listener.received[1::2]
        assert len(listener.received) == 4


@pytest.mark.parametrize("verify", [True, "/etc/hosts", "/etc"])
@pytest.mark.parametrize(
    "url",
    [
        "http://models.example.com",
        "http://models.example.com:443/v1",
        "https://models.example.com/v1?a=b",
        "https://models.example.com:8443/v1",
        "https://[::1]/v1",
    ],
)
def test_its_connections_are_where_requests_looks_for_them(url, verify):
    ours = adapter(GUARD)
    request = requests.Request("POST", url).prepare()
    theirs = requests.adapters.HTTPAdapter.get_connection_with_tls_context(ours, request, verify)
    other = requests.Request("POST", "https://other.example.com").prepare()
    for _ in range(2):
        assert ours.get_connection_with_tls_context(request, verify) is theirs
        assert ours.get_connection_with_tls_context(request, not verify) is not theirs
        assert ours.get_connection_with_tls_context(other, verify) is not theirs
    for _ in range(2):
        ours.close()
        anew = ours.get_connection_with_tls_context(request, verify)
        assert (anew.scheme, anew.host, anew.port) == (theirs.scheme, theirs.host, theirs.port)
        assert anew is not theirs
    ours.close()


@pytest.mark.parametrize("url", INVALID)
def test_a_url_that_requests_refuses_is_no_connection_each_time(transport, plain, url):
    with pytest.raises((requests.RequestException, urllib3.exceptions.HTTPError)) as refused:
        sent_by(plain, url)
    for _ in range(2):
        with pytest.raises(NoConnection) as told:
            sent(transport, url)
        assert str(told.value) == f"the request could not be made ({type(refused.value).__name__})"


@pytest.mark.parametrize("name", ["", "two words:", "line\nbreak"])
def test_a_header_of_such_a_name_is_no_connection(transport, name):
    with pytest.raises(NoConnection, match="InvalidHeader"):
        sent(transport, "http://127.0.0.1:1/v1", {name: "x"})
