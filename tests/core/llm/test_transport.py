"""Providers over HTTP: what the settings say holds, and a call without an answer has the right failure."""

from __future__ import annotations

import socket

import pytest

from core.config import Settings
from core.llm import router
from core.llm.failures import (
    EndpointForbidden,
    KeyRefused,
    ProviderBusy,
    ProviderError,
    ReadTimeout,
    Unreachable,
)
from core.llm.transport import FAILURES, named_failures, provider_transport
from core.llm.types import ChatRequest, Target
from core.outbound.errors import (
    AddressForbidden,
    AnswerTooLarge,
    ConnectionCut,
    NoAnswerInTime,
    NoConnection,
    OutboundError,
    UnsendableHeader,
)
from core.outbound.guard import Guard
from core.outbound.transport import Deadlines
from tests.providers.hasty import PATIENT
from tests.providers.scripted import answering, provider, trickling
from tests.providers.vendors import BEGINNING, END, MORE, OPENAI_WHOLE

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize(
    ("raised", "kind", "possibly_charged"),
    [
        (NoConnection("x"), Unreachable, False),
        (NoAnswerInTime("x"), ReadTimeout, True),
        (NoAnswerInTime("x", status=200), ReadTimeout, True),
        (ConnectionCut("x"), ProviderBusy, True),
        (ConnectionCut("x", status=200), ProviderBusy, True),
        (AnswerTooLarge("x", status=200), ProviderBusy, True),
        (AddressForbidden("x"), EndpointForbidden, False),
        (UnsendableHeader("x"), KeyRefused, False),
    ],
)
def test_what_may_have_been_read_may_have_been_charged(raised, kind, possibly_charged):
    with pytest.raises(kind) as failed, named_failures():
        raise raised
    said = failed.value
    assert (said.detail, said.http_status) == ("x", raised.status)
    assert said.possibly_charged is possibly_charged


def test_every_error_of_outbound_http_is_a_failure_of_a_provider():
    assert set(FAILURES) == set(OutboundError.__subclasses__())


def test_the_limits_are_those_of_the_settings():
    settings = Settings(
        connect_timeout_s=1,
        first_token_timeout_s=2,
        between_tokens_timeout_s=3,
        answer_timeout_s=4,
        job_timeout_s=5,
        provider_answer_bytes=6,
    )
    transport = provider_transport(settings)
    assert transport.streamed == Deadlines(connect=1, first_byte=2, between=3, total=5)
    assert transport.whole == Deadlines(connect=1, first_byte=4, between=3, total=4)
    assert transport.most_bytes == 6
    transport.close()


def test_the_proxy_of_the_settings_leads_to_vendors():
    with provider(answering(OPENAI_WHOLE)) as proxy:
        transport, calls = provider_transport(Settings(provider_proxy=proxy.url), PATIENT), []
        assert (
            ask(transport, [Target("openai", "m", "openai", "http://vendor.test/v1", "k", "byokey")], calls)
            is None
        )
        assert [request.path for request in proxy.received] == ["http://vendor.test/v1/chat/completions"]
        transport.close()


def test_users_addresses_pass_the_guard_of_the_settings():
    with provider(answering(OPENAI_WHOLE)) as one:
        target = Target("openai", "m", "openai", one.url, "k", "custom")
        for allow, outcome in (("", "endpoint_forbidden"), (f"127.0.0.1:{one.port}", "ok")):
            transport, calls = provider_transport(Settings(custom_endpoint_allow=allow), PATIENT), []
            ask(transport, [target], calls)
            assert [call["outcome"] for call in calls] == [outcome]
            transport.close()


def test_a_streams_connection_is_kept():
    body = BEGINNING["openai"] + MORE["openai"] + END["openai"]
    transport = provider_transport(Settings(), PATIENT)
    with provider(answering(body, 200)) as one:
        target = Target("openai", "m", "openai", one.url, "k", "byokey")
        for _ in range(3):
            router.run(ChatRequest(HELLO, stream=True), [target], transport=transport, calls=[])
        assert one.connections == 1
    transport.close()


def test_each_request_that_a_provider_may_have_read_is_a_call_of_its_own():
    """It answers the first request of a connection, reads the second whole, and closes a little later."""
    reads_and_closes = trickling(b"", b"", every=0.3, most=1)
    transport, calls = provider_transport(Settings(), PATIENT), []
    with provider(answering(OPENAI_WHOLE), reads_and_closes, answering(OPENAI_WHOLE)) as one:
        target = Target("openai", "m", "openai", one.url, "k", "byokey")
        for _ in range(2):
            assert ask(transport, [target], calls) is None
        assert len(one.received) == len(calls) == 3
    transport.close()
    seen = [(call["outcome"], call["possibly_charged"]) for call in calls]
    assert seen == [("ok", False), ("provider_busy", True), ("ok", False)]


def test_a_forbidden_endpoint_is_asked_once_and_nobody_else_is():
    def resolve(host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", port))]

    with provider(answering(OPENAI_WHOLE)) as other:
        transport, calls = provider_transport(Settings(), PATIENT, guard=Guard("", resolve=resolve)), []
        targets = [
            Target("openai", "m", "openai", "https://models.example.com/v1", "k1", "custom"),
            Target("minimax", "m", "openai", other.url, "k2", "byokey"),
        ]
        assert isinstance(ask(transport, targets, calls), EndpointForbidden)
        transport.close()
        assert other.received == []
        assert [(c["outcome"], c["possibly_charged"]) for c in calls] == [("endpoint_forbidden", False)]


def ask(transport, targets, calls):
    """The failure, if any."""
    try:
        router.run(ChatRequest(HELLO), targets, transport=transport, calls=calls, sleep=lambda _: None)
    except ProviderError as error:
        return error
