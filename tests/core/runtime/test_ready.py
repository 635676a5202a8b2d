"""Ready is who answers with our token."""

import contextlib
import http.server
import socket
import threading
import time

import pytest

from core.runtime import ready


@pytest.fixture
def gateway():
    """A port where the token `right` is known; `server.status` is what it says then."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            known = (self.path, self.headers["Authorization"]) == ("/v1/models", "Bearer right")
            self.send_response(server.status if known else 401)
            self.end_headers()

        def log_message(self, *_):
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.status = 200
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_it_answers_to_our_token(gateway):
    assert ready.answers(gateway.server_port, "right") is None


def test_another_gateway_on_our_port_is_told_from_ours(gateway):
    assert "another program holds the port" in ready.answers(gateway.server_port, "wrong")


def test_an_answer_that_is_no_success_is_told(gateway):
    gateway.status = 503
    assert ready.answers(gateway.server_port, "right") == "the process answers with 503"


def test_nobody_there_is_told():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert ready.answers(port, "right") == f"nothing answers on port {port} yet"


def test_who_never_answers_is_told():
    with socket.create_server(("127.0.0.1", 0)) as server:
        said = ready.answers(server.getsockname()[1], "right", timeout_s=0.1)
    assert "within 0.1 s" in said


@pytest.mark.parametrize(
    ("begins", "goes_on"),
    [(b"HTTP/1.1 200 OK\r\nX: ", b"x"), (b"", b"HTTP/1.1 100 Continue\r\n\r\n")],
    ids=["within a header", "with interim answers"],
)
def test_who_goes_on_and_on_before_it_answers_is_told(begins, goes_on):
    """Each piece comes in time, and all of them do not."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def speak():
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(begins)
                for _ in range(60):
                    connection.sendall(goes_on)
                    time.sleep(0.05)
                connection.sendall(b"\r\n\r\n" if begins else b"HTTP/1.1 200 OK\r\n\r\n")

        speaker = threading.Thread(target=speak)
        speaker.start()
        said = ready.answers(server.getsockname()[1], "right", timeout_s=0.5)
        speaker.join()
    assert said is not None
    assert "within 0.5 s" in said


def test_what_is_no_http_is_told():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def speak():
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"SSH-2.0-x\r\n\r\n")

        speaker = threading.Thread(target=speak)
        speaker.start()
        assert "nothing answers" in ready.answers(server.getsockname()[1], "right")
        speaker.join()
