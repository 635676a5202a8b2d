"""The exchanges over HTTP, through the router: what a vendor gets, and what we make of its answer."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from core.llm import router
from core.llm.failures import ProviderError, ProviderRefused
from core.llm.transport import provider_transport
from tests.core.llm.wire.replay import EXCHANGES, target
from tests.factory import asking

ASKED = [{"role": "user", "content": "Hello"}]
HEADERS = {
    "openai": {"authorization": "Bearer sk-test"},
    "anthropic": {"x-api-key": "sk-test", "anthropic-version": "2023-06-01"},
    "responses": {"authorization": "Bearer sk-test"},
}
PATHS = {"openai": "/chat/completions", "anthropic": "/messages", "responses": "/responses"}


class Vendor(BaseHTTPRequestHandler):
    """Answers with the exchange that the path names, and notes what it got."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        name, _, path = self.path.removeprefix("/").partition("/")
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.got.append((f"/{path}", dict(self.headers.items()), body))
        exchange = EXCHANGES[name]
        streamed = "stream" in exchange
        raw = "\n".join(exchange["stream"]) + "\n" if streamed else json.dumps(exchange["body"])
        kind = "text/event-stream" if streamed else "application/json"
        self.send_response(exchange["status"])
        for header, value in {"Content-Type": kind, **exchange.get("headers", {})}.items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(raw.encode())))
        self.end_headers()
        self.wfile.write(raw.encode())

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def vendor():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
    server.got = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def transport(settings):
    transport = provider_transport(settings)
    yield transport
    transport.close()


def ask(vendor, transport, name, calls, **asked):
    wire = EXCHANGES[name]["wire"]
    provider = "anthropic" if wire == "anthropic" else "openai"
    to = target(
        provider, wire=wire, wire_given=True, base_url=f"http://127.0.0.1:{vendor.server_port}/{name}"
    )
    request = asking(ASKED, stream="stream" in EXCHANGES[name], **asked)
    return router.run(request, [to], transport=transport, calls=calls, sleep=lambda seconds: None)


@pytest.mark.parametrize("name", [name for name, one in EXCHANGES.items() if "failure" not in one["means"]])
def test_an_answer(vendor, transport, name):
    vendor.got.clear()
    means, calls = EXCHANGES[name]["means"], []
    answer = ask(vendor, transport, name, calls)
    assert (answer.message["content"], answer.finish_reason) == (means["content"], means["finish_reason"])
    assert (answer.usage_status, list(answer.usage.public().values())[:2]) == ("reported", means["usage"][:2])
    assert [call["outcome"] for call in calls] == ["ok"]
    ((path, headers, body),) = vendor.got
    wire = EXCHANGES[name]["wire"]
    assert path == PATHS[wire]
    sent = {header.lower(): value for header, value in headers.items()}
    assert {header: sent.get(header) for header in HEADERS[wire]} == HEADERS[wire]
    assert body["input" if wire == "responses" else "messages"][0]["role"] == "user"


@pytest.mark.parametrize("name", [name for name, one in EXCHANGES.items() if "failure" in one["means"]])
def test_a_failure(vendor, transport, name):
    means, calls = EXCHANGES[name]["means"], []
    with pytest.raises(ProviderError) as raised:
        ask(vendor, transport, name, calls)
    plain = "provider_busy" if means["failure"] == "incomplete" else means["failure"]
    assert raised.value.code == calls[-1]["outcome"]
    assert raised.value.code == ("stream_broken" if means.get("deltas") else plain)


def test_what_is_refused_before_the_call_never_reaches_the_vendor_and_costs_nothing(vendor, transport):
    vendor.got.clear()
    calls = []
    with pytest.raises(ProviderRefused, match="seed"):
        ask(vendor, transport, "anthropic-plain", calls, seed=7)
    assert vendor.got == []
    assert [(call["outcome"], call["possibly_charged"]) for call in calls] == [("provider_refused", False)]
