"""Ready is who answers with our token."""

import http.server
import socket
import threading

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
