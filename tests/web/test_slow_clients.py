"""Slow clients, against the gunicorn of the Procfile: each has a deadline, and none blocks others."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import requests

from core.embedded.supervise import ROOT, from_procfile
from tests.stack import ADMIN_KEY, free_ports
from tests.waiting import LONG_S, until

BODY_S, HEADERS_S = 2, 2
CONNECTIONS, IDLE = 200, 100
OPEN_FILES = 64
"""What its shell gives it: fewer than its connections, as the 1,024 of most shells are."""
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
SIGN_IN = b"POST /sign-in HTTP/1.1\r\nHost: vutler\r\n" + FORM + b"Content-Length: %d\r\n\r\n"


@pytest.fixture(scope="module")
def address(settings, tmp_path_factory):
    """Web alone, as the Procfile has it but for a shorter keep-alive."""
    yield from serving(settings, tmp_path_factory.mktemp("slow"), HEADERS_S)


@pytest.fixture(scope="module")
def patient_address(settings, tmp_path_factory):
    """The same with the patience of the Procfile: who waits here is cut off for no other reason."""
    yield from serving(settings, tmp_path_factory.mktemp("patient"), 75, 75)


def serving(settings, folder, keep_alive_s, body_s=BODY_S):
    (web,) = [p for p in from_procfile((ROOT / "Procfile").read_text(), stop_s=1) if p.name == "web"]
    port = free_ports()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            ["sh", "-c", f"ulimit -S -n {OPEN_FILES}; exec {with_less_patience(web.command, keep_alive_s)}"],
            cwd=ROOT,
            env={
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "PORT": str(port),
                "DATA_DIR": str(folder),
                "MONGODB_URI": settings.mongodb_uri,
                "MONGODB_DATABASE": "test_slow",
                "REDIS_URL": settings.redis_url,
                "ADMIN_API_KEY": ADMIN_KEY,
                "BODY_TIMEOUT_S": str(body_s),
                "STORE_ANSWERS_WITHIN_S": "30",
            },
            stdout=log,
            stderr=log,
        )
    until(lambda: answers(port) or process.poll() is not None, "web answers", said=(folder / "log").read_text)
    assert process.poll() is None, (folder / "log").read_text()
    yield "127.0.0.1", port
    process.terminate()
    assert process.wait(60) == 0


def with_less_patience(command, keep_alive_s):
    told = command.replace("--keep-alive 75", f"--keep-alive {keep_alive_s}")
    return told.replace("--worker-connections 2000", f"--worker-connections {CONNECTIONS}")


def answers(port, timeout=2):
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"http://127.0.0.1:{port}/healthz", timeout=timeout).status_code == 200
    return False


def head(*more, path="/api/v1/agents"):
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: vutler",
        f"Authorization: Bearer {ADMIN_KEY}",
        "Content-Type: application/json",
        *more,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def nobody(*more):
    """As whoever has no key: what follows is left to gunicorn, which looks for its end."""
    return head(*more).replace(ADMIN_KEY.encode(), b"none")


def dripped(address, at_once, then):
    """What comes back to a client that sends `at_once`, and a piece of `then` each second."""
    with socket.create_connection(address, timeout=LONG_S) as client:
        client.sendall(at_once)
        for piece in then:
            client.settimeout(1)
            with contextlib.suppress(TimeoutError):
                return client.recv(65536)
            client.sendall(piece)
        raise AssertionError("nobody minded")


@pytest.mark.parametrize(
    ("says", "piece"), [("Content-Length: 1000", b"{"), ("Transfer-Encoding: chunked", b"1\r\n{\r\n")]
)
def test_a_body_at_a_byte_a_second_is_refused(address, says, piece):
    said = dripped(address, head(says), [piece] * 30)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in said


def test_a_body_that_never_comes_is_refused(address):
    with socket.create_connection(address, timeout=LONG_S) as client:
        client.sendall(head("Content-Length: 10"))
        assert client.recv(65536).startswith(b"HTTP/1.1 408 ")


def test_a_body_for_which_no_key_is_needed_has_less_time(patient_address):
    assert dripped(patient_address, SIGN_IN % 100, [b"a"] * 30).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("body", [b"XYZ\r\n", b"3;ext=\r\nabc\r\nZ\r\n", b"-1\r\n"])
def test_a_body_that_is_not_framed_as_it_says_is_refused(address, body):
    said = dripped(address, head("Transfer-Encoding: chunked") + body, [b""] * 5)
    assert said.startswith(b"HTTP/1.1 400 ")


SECRET = b"s3cret"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"s3cret\r\n\r\n", 400),
        (b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (SECRET * 2000), 414),
        (b"GET / HTTP/9.9s3cret\r\n\r\n", 400),
        (b"g(s3cret) / HTTP/1.1\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nX s3cret: a\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nX-A: a\r\n s3cret\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nX-A: %b\r\n\r\n" % (SECRET * 20_000), 431),
        (b"GET /healthz HTTP/1.1\r\n" + b"X-A: s3cret\r\n" * 200 + b"\r\n", 431),
        (b"POST /healthz HTTP/1.1\r\nTransfer-Encoding: s3cret\r\n\r\n", 400),
        (b"POST /healthz HTTP/1.1\r\nContent-Length: s3cret\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nExpect: s3cret\r\n\r\n", 417),
    ],
    ids=[
        "line",
        "address",
        "version",
        "method",
        "name",
        "folded",
        "long",
        "many",
        "coding",
        "length",
        "expects",
    ],
)
def test_what_is_no_request_is_told_as_a_problem_and_not_repeated(address, sent, status):
    with socket.create_connection(address, timeout=LONG_S) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        said = b"".join(iter(lambda: client.recv(65536), b""))
    top, body = said.split(b"\r\n\r\n", 1)
    headers = dict(line.split(": ", 1) for line in top.decode().split("\r\n")[1:])
    problem = json.loads(body)
    assert top.startswith(b"HTTP/1.1 %d " % status)
    assert (headers["Content-Type"], headers["Connection"]) == ("application/problem+json", "close")
    assert (problem["status"], problem["instance"]) == (status, headers["X-Request-Id"])
    assert SECRET not in said


def test_headers_that_drip_are_cut_off(address):
    lines = [f"X-{n}: a\r\n".encode() for n in range(30)]
    with contextlib.suppress(ConnectionError):
        assert dripped(address, b"GET /healthz HTTP/1.1\r\n", lines) == b""


def test_slow_clients_block_nobody(address):
    """While fifty drip their headers and fifty their bodies, others are answered."""
    starts = [b"GET /healthz HTTP/1.1\r\n", head("Content-Length: 1000")] * 50
    with contextlib.ExitStack() as held:
        for start in starts:
            held.enter_context(socket.create_connection(address, timeout=LONG_S)).sendall(start)
        key = {"Authorization": f"Bearer {ADMIN_KEY}"}
        url = f"http://{address[0]}:{address[1]}/api/v1/agents"
        for _ in range(5):
            assert requests.get(url, headers=key, timeout=60).status_code == 200


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 1000),
        (head("Transfer-Encoding: chunked"), b"1\r\n \r\n" * 10_000),
        (nobody("Transfer-Encoding: chunked"), b"1\r\n \r\n" * 10_000),
        (head("Transfer-Encoding: chunked"), b"1;a=" + b"a" * 8000 + b"\r\n \r\n"),
    ],
    ids=["requests", "chunks", "chunks of nobody", "extensions"],
)
def test_who_sends_without_end_blocks_nobody(address, start, piece):
    with socket.create_connection(address) as client:
        client.sendall(start)
        threads = [
            threading.Thread(target=until_cut, args=(act,))
            for act in (lambda: client.sendall(piece), lambda: taken(client))
        ]
        for thread in threads:
            thread.start()
        try:
            for _ in range(5):
                assert requests.get(f"http://{address[0]}:{address[1]}/healthz", timeout=60).ok
        finally:
            with contextlib.suppress(OSError):  # the server has hung up first
                client.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


def test_of_too_many_idle_connections_the_longest_idle_are_hung_up_on(patient_address):
    with contextlib.ExitStack() as held:
        longest = [connected(held, patient_address) for _ in range(10)]
        assert all(map(asked, longest))
        others = [connected(held, patient_address) for _ in range(IDLE)]
        assert [asked(client) for client in others] == [True] * IDLE
        assert [asked(client) for client in longest] == [False] * 10


@pytest.mark.parametrize("who", ["key", "nobody"])
def test_of_too_many_whose_bodies_never_come_the_longest_waiting_are_refused(patient_address, who):
    """At the sign-in those wait who have no key."""
    start = {"key": head("Content-Length: 100"), "nobody": SIGN_IN % 100}[who]
    with contextlib.ExitStack() as held:
        longest = connected(held, patient_address)
        told(longest, start)
        assert answers(patient_address[1], LONG_S)  # by now it is waited for
        for _ in range(CONNECTIONS + IDLE):
            told(connected(held, patient_address), start)
        assert [answers(patient_address[1], LONG_S) for _ in range(5)] == [True] * 5
        assert longest.recv(65536).startswith(b"HTTP/1.1 408 ")


def test_clients_that_take_nothing_of_their_answers_keep_nobody_out(patient_address):
    with contextlib.ExitStack() as held:
        for _ in range(CONNECTIONS + 10):
            told(slow_reader(held, patient_address), b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 12)
        assert [answers(patient_address[1], LONG_S) for _ in range(5)] == [True] * 5


def test_a_workspace_that_waits_for_all_its_answers_keeps_nobody_out(patient_address):
    """It has as many places as it leaves to others; what it asks beyond them is refused."""
    api = f"http://{patient_address[0]}:{patient_address[1]}/api/v1"
    admin = {"Authorization": f"Bearer {ADMIN_KEY}"}
    requests.post(f"{api}/agents", headers=admin, json={"name": "a", "llm_config": {"provider": "sandbox"}})
    other = requests.post(f"{api}/workspaces", headers=admin, json={"name": "other"}).json()["id"]
    key = requests.post(
        f"{api}/keys", headers={**admin, "X-Workspace": other}, json={"role": "member"}
    ).json()
    body = b'{"model": "agent:a", "messages": [{"role": "user", "content": "a"}]}'
    asks = head(f"Content-Length: {len(body)}", path="/v1/chat/completions") + body
    with contextlib.ExitStack() as held:
        clients = [connected(held, patient_address) for _ in range(CONNECTIONS)]
        for client in clients:
            told(client, asks)
        until(lambda: len(select.select(clients, [], [], 1)[0]) == IDLE, "half of them are answered")
        for _ in range(5):
            assert answers(patient_address[1], LONG_S)
            there = requests.get(
                f"{api}/agents", headers={"Authorization": f"Bearer {key['key']}"}, timeout=60
            )
            assert there.status_code == 200
        refused = select.select(clients, [], [], 0)[0]
        assert {client.recv(65536)[:12] for client in refused} == {b"HTTP/1.1 429"}


def connected(held, address):
    return held.enter_context(socket.create_connection(address, timeout=60))


def slow_reader(held, address):
    """A connection with little room for what is not taken."""
    client = held.enter_context(socket.socket())
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(60)
    client.connect(address)
    return client


def told(client, data):
    """Say it, whether or not the server has hung up."""
    with contextlib.suppress(ConnectionError):
        client.sendall(data)


def until_cut(act):
    """Do it again and again, until the connection is closed."""
    with contextlib.suppress(OSError):
        while True:
            act()


def taken(client):
    if not client.recv(65536):
        raise ConnectionError


def asked(client):
    """Ask on a connection that was idle until now: is it answered?"""
    with contextlib.suppress(ConnectionError):
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        return client.recv(65536).startswith(b"HTTP/1.1 200 ")
    return False
