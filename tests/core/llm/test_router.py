"""The router: which error the user sees, what is noted of each call, and what is kept of a broken stream."""

from __future__ import annotations

import gc
import json
import weakref
from contextlib import suppress
from dataclasses import replace

import pytest

from core.config import Settings
from core.llm import router
from core.llm.exchange import MOST_NOTED, speed
from core.llm.failures import ProviderBusy, ProviderError, ProviderRefused, StreamBroken
from core.llm.transport import provider_transport
from core.llm.types import ChatAnswer, Target, Usage
from tests.factory import asking
from tests.providers.hasty import PATIENT
from tests.providers.scripted import answering, provider, sse, streaming
from tests.providers.vendors import (
    BEGINNING,
    END,
    WHOLE,
    anthropic_delta,
    anthropic_start,
    failing,
    good,
    openai_delta,
)

KEY = "zq81-Lm0Pv7tR2wXyB4cD6eF"
OTHER_KEY = "another/users+key=0987654321"


@pytest.fixture
def transport():
    made = provider_transport(Settings(), PATIENT)
    yield made
    made.close()


def openai(url, key=KEY):
    return Target("openai", "gpt-4o", "openai", url, key, "byokey")


def anthropic(url, key=OTHER_KEY):
    return Target("anthropic", "claude-sonnet-5", "anthropic", url, key, "byokey")


def ask(transport, targets, calls, **request):
    asked = asking([{"role": "user", "content": "Hello"}], **request)
    return router.run(asked, targets, transport=transport, calls=calls, sleep=lambda _: None)


def test_what_was_sent_is_let_go_with_the_error(transport):
    request = asking([{"role": "user", "content": "Hello"}])
    sent = weakref.ref(request)
    gc.disable()
    try:
        with provider(failing("openai", 503, "over capacity")) as one, suppress(ProviderBusy):
            router.run(request, [openai(one.url)], transport=transport, calls=[], sleep=lambda _: None)
        del request
        assert sent() is None
    finally:
        gc.enable()


def test_the_user_sees_the_first_targets_error_and_what_the_others_said(transport):
    with (
        provider(failing("openai", 503, "over capacity")) as one,
        provider(failing("anthropic", 401, "invalid x-api-key")) as two,
    ):
        calls = []
        with pytest.raises(ProviderBusy) as failed:
            ask(transport, [openai(one.url), anthropic(two.url)], calls)
    assert failed.value.detail == "over capacity (asked after it: anthropic: invalid x-api-key)"
    assert [(c["provider"], c["outcome"], c["http_status"]) for c in calls] == [
        ("openai", "provider_busy", 503),
        ("openai", "provider_busy", 503),
        ("openai", "provider_busy", 503),
        ("anthropic", "provider_key_refused", 401),
    ]


def test_a_call_is_noted_with_its_time_and_the_providers_own_id(transport):
    calls = []
    refusing = failing("openai", 400, "no", None, None, ("x-request-id", "req_123"))
    with provider(refusing) as one, pytest.raises(ProviderRefused):
        ask(transport, [openai(one.url)], calls)
    assert calls[0]["provider_request_id"] == "req_123"
    assert calls[0]["latency_ms"] >= 0
    assert calls[0]["possibly_charged"] is False


@pytest.mark.parametrize("wire", ["openai", "anthropic"])
def test_the_time_to_the_first_delta_is_noted_as_it_comes(transport, wire):
    calls, noted = [], []
    with provider(good(wire, True)) as one:
        target = {"openai": openai, "anthropic": anthropic}[wire](one.url)
        router.run(
            asking([{"role": "user", "content": "Hello"}], stream=True),
            [target],
            transport=transport,
            calls=calls,
            emit=lambda _: noted.append(calls[0]["first_token_ms"]),
        )
    assert noted == [calls[0]["first_token_ms"]] * 2
    assert 1 <= noted[0] <= calls[0]["latency_ms"] + 1


def test_an_answer_in_one_piece_has_no_first_token(transport):
    calls = []
    with provider(good("openai", False)) as one:
        ask(transport, [openai(one.url)], calls)
    assert (calls[0]["first_token_ms"], calls[0]["output_tokens_per_second"]) == (None, None)


@pytest.mark.parametrize(
    ("first", "whole", "reasoning", "message", "rate"),
    [
        (200, 1200, 0, {}, 100.0),
        (200, 1200, 60, {}, 40.0),
        (200, 1200, 60, {"reasoning": "Well,"}, 100.0),
        (200, 1200, 100, {}, None),
        (200, 200, 0, {}, None),
        (None, 1200, 0, {}, None),
    ],
    ids=["plain", "hidden reasoning", "reasoning that was shown", "nothing else", "no time", "not streamed"],
)
def test_output_tokens_a_second_are_those_after_the_first(first, whole, reasoning, message, rate):
    usage = Usage(7, 100, tokens_reasoning=reasoning)
    answer = ChatAnswer({"content": "Hi", **message}, "stop", "openai", "gpt-4o", usage, "reported")
    assert speed({"first_token_ms": first, "latency_ms": whole}, answer) == rate


def test_what_the_format_cannot_say_is_refused_before_the_call(transport):
    with provider(good("anthropic", False)) as one:
        calls = []
        with pytest.raises(ProviderRefused):
            ask(transport, [anthropic(one.url)], calls, seed=7)
        assert one.received == []
    (call,) = calls
    assert (call["outcome"], call["possibly_charged"]) == ("provider_refused", False)
    assert (call["latency_ms"], call["http_status"]) == (None, None)


def test_a_second_targets_broken_stream_is_kept(transport):
    with provider(failing("openai", 503, "busy")) as one, provider(streaming(BEGINNING["anthropic"])) as two:
        calls = []
        with pytest.raises(StreamBroken) as broken:
            ask(transport, [openai(one.url), anthropic(two.url)], calls, stream=True)
    assert broken.value.partial["content"] == "Hel"
    assert calls[-1]["outcome"] == "stream_broken"
    assert calls[-1]["usage"]["tokens_input"] == 7


@pytest.mark.parametrize(
    ("said", "counted", "billed"),
    [("x" * 4000, 2, 1000), ("Hel", 500, 500)],
    ids=["what was said, where the count comes at the end", "the provider's count, where it is larger"],
)
def test_of_a_broken_stream_no_token_is_given_away(transport, said, counted, billed):
    count = {"type": "message_delta", "delta": {"stop_reason": None}, "usage": {"output_tokens": counted}}
    events = [anthropic_start(), anthropic_delta(said), sse(count, "message_delta")]
    calls = []
    with provider(streaming(*events)) as one, pytest.raises(StreamBroken):
        ask(transport, [anthropic(one.url)], calls, stream=True)
    assert calls[0]["usage"]["tokens_output"] >= billed
    assert calls[0]["usage_status"] == "estimated"


def test_a_streamed_answer_that_is_too_large_to_keep_ends_there():
    small = provider_transport(Settings(provider_answer_bytes=1000), PATIENT)
    endless = streaming(*[openai_delta("x" * 400)] * 10, END["openai"])
    with provider(endless) as one, pytest.raises(StreamBroken) as broken:
        ask(small, [openai(one.url)], [], stream=True)
    assert len(broken.value.partial["content"]) == 1200
    small.close()


@pytest.mark.parametrize(
    "echo",
    [
        "Incorrect API key provided: {key}.",
        "Incorrect API key provided: {key:.8}***********{tail}. You can find",
        "key {key:.3}...{tail} is revoked",
        "Authorization: Bearer {key}",
        "see https://example.com/?key={key}&x=1",
        f"{'a ' * 245}{{key}}",
        "sk-proj-AbCdEf0123456789 is not yours",
        "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcdefgh",
    ],
)
def test_an_echoed_key_is_in_no_error_and_no_record(transport, echo):
    said = echo.replace("{key:.8}", KEY[:8]).replace("{key:.3}", KEY[:3])
    said = said.replace("{key}", KEY).replace("{tail}", KEY[-4:])
    calls = []
    echoing = failing("openai", 401, said, None, None, ("x-request-id", KEY))
    with provider(echoing) as one, pytest.raises(ProviderError) as failed:
        ask(transport, [openai(one.url), anthropic("http://127.0.0.1:1/v1")], calls)
    shown = failed.value.detail + json.dumps(calls, default=str)
    assert "[redacted]" in shown
    assert not any(KEY[n : n + 6] in shown for n in range(len(KEY) - 5))
    assert "AbCdEf" not in shown
    assert "eyJz" not in shown


@pytest.mark.parametrize("guess", [KEY, KEY[:12], f"{KEY[:5]}x"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("place", ["first", "last"])
def test_an_endpoint_learns_nothing_of_the_key_of_another(transport, guess, stream, place):
    """One may be a tenant's own server, and the other's key the operator's, or a colleague's."""
    calls = []
    guessing = failing("openai", 503, f"is it {guess}?", None, None, ("x-request-id", guess))
    with provider(failing("openai", 503, "over capacity")) as vendor, provider(guessing) as own:
        targets = [replace(openai(own.url, "mine"), model="own"), anthropic(vendor.url, KEY)]
        with pytest.raises(ProviderError):
            ask(transport, targets if place == "first" else targets[::-1], calls, stream=stream)
    told = {(call["detail"], call["provider_request_id"]) for call in calls if call["model"] == "own"}
    assert told == {(f"is it {guess}?", guess)}


def test_a_key_in_words_that_are_no_json_is_not_cut_before_it_is_known(transport):
    calls = []
    page = answering(f"{'a ' * 245}{KEY}".encode(), 401)
    with provider(page) as one, pytest.raises(ProviderError):
        ask(transport, [openai(one.url)], calls)
    assert calls[0]["detail"] == f"{'a ' * 245}[redacted]"


def test_words_that_are_no_secret_stay(transport):
    calls = []
    said = "The model `gpt-4o-mini-2024-07-18` does not exist or you do not have access to it..."
    with provider(failing("openai", 404, said)) as one, pytest.raises(ProviderRefused) as failed:
        ask(transport, [openai(one.url)], calls)
    assert failed.value.detail == said


def test_an_error_text_that_no_document_can_hold_is_mended(transport):
    with (
        provider(failing("openai", 404, "half a pair: \ud83d")) as one,
        pytest.raises(ProviderRefused) as failed,
    ):
        ask(transport, [openai(one.url)], [])
    assert failed.value.detail.encode()


def test_no_target_is_said_in_plain_words(transport):
    with pytest.raises(ProviderError, match="no provider is configured"):
        ask(transport, [], [])


def test_a_key_that_is_taken_only_when_it_is_called_is_not_told_either(transport):
    short = "pw-" + "Q7x9"
    with provider(failing("openai", 400, f"who is {short}?")) as one:
        target = replace(openai(one.url, None), take=lambda: short)
        calls = []
        with pytest.raises(ProviderRefused) as refused:
            ask(transport, [target], calls)
    assert short in one.received[0].raw
    assert short not in refused.value.detail + str(calls)


def test_a_call_that_was_refused_has_used_nothing(transport):
    calls = []
    with provider(failing("openai", 400, "no")) as one, pytest.raises(ProviderRefused):
        ask(transport, [openai(one.url)], calls)
    assert (calls[0]["usage"], calls[0]["possibly_charged"]) == (None, False)


def test_a_redirect_is_a_refusal_that_says_so(transport):
    with provider(failing("openai", 307, "elsewhere")) as one, pytest.raises(ProviderRefused) as refused:
        ask(transport, [openai(one.url)], [])
    assert "a redirect (307)" in refused.value.detail
    assert len(one.received) == 1


class Cancelled(BaseException):
    """Whoever asked does not wait any more."""


def test_of_a_stream_that_is_cancelled_the_words_that_came_are_charged(transport):
    def cancelled(_):
        raise Cancelled

    calls, request = [], asking([{"role": "user", "content": "Hello"}], stream=True, max_tokens=9000)
    with provider(streaming(openai_delta("x" * 4000))) as one, pytest.raises(Cancelled):
        router.run(request, [openai(one.url)], transport=transport, calls=calls, emit=cancelled)
    assert calls[0]["usage_status"] == "estimated"
    assert 500 <= calls[0]["usage"]["tokens_output"] < 9000


@pytest.mark.parametrize("stream", [False, True])
def test_of_a_call_that_went_well_there_is_no_doubt_whether_it_is_charged(transport, stream):
    calls = []
    with provider(good("openai", stream)) as one:
        ask(transport, [openai(one.url)], calls, stream=stream)
    assert (calls[0]["possibly_charged"], calls[0]["usage_status"]) == (False, "reported")


def test_of_what_nobody_knows_in_an_answer_so_much_is_noted(transport):
    calls, odd = [], [{"type": "odd", "odd": n} for n in range(MOST_NOTED + 1)]
    with provider(answering({**WHOLE["anthropic"], "content": odd})) as one:
        ask(transport, [anthropic(one.url)], calls)
    assert calls[0]["unknown"] == ["part"] * MOST_NOTED
