"""What a call used that was answered with 200, and whose answer nobody could understand or broke off."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest

from core.config import Settings
from core.llm import router
from core.llm.failures import ProviderError
from core.llm.transport import provider_transport
from core.llm.types import Target
from tests.factory import asking
from tests.providers.hasty import PATIENT
from tests.providers.said import d
from tests.providers.scripted import answering, dying, head, provider, streaming

TOLD = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}
OF_ANTHROPIC = {"input_tokens": 1000, "output_tokens": 500}
EMPTY = {"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": None}
BROKEN = {**EMPTY, "finish_reason": "error", "message": {"role": "assistant", "content": "part"}}
OVERLOADED = {"error": {"type": "overloaded_error", "message": "Overloaded"}}
START = {"type": "message_start", "message": {"usage": {"input_tokens": 1000, "output_tokens": 1}}}
MOST = 2000
"""The tokens that the answer may have."""


def cut(write):
    """In the middle of its body."""
    body = json.dumps({"choices": [{**EMPTY, "message": {"content": "x" * 5000}}], "usage": TOLD}).encode()
    write(head(200, "application/json", ("Content-Length", len(body))) + body[: len(body) // 2])
    return False


def ask(answer, *, stream, wire="openai"):
    """The record of the first call."""
    calls, transport = [], provider_transport(Settings(), PATIENT)
    asked = asking([{"role": "user", "content": "Hello"}], stream=stream, max_tokens=MOST)
    with provider(answer) as one, suppress(ProviderError):
        target = Target(wire, "m", wire, one.url, "k", "byokey")
        router.run(asked, [target], transport=transport, calls=calls, sleep=lambda _: None)
    transport.close()
    assert calls[0]["outcome"] != "ok"
    return calls[0]


@pytest.mark.parametrize(
    ("wire", "stream", "answer"),
    [
        ("openai", False, answering({"choices": [EMPTY], "usage": TOLD})),
        ("openai", False, answering({"choices": [BROKEN], "usage": TOLD})),
        ("openai", False, answering({**OVERLOADED, "usage": TOLD})),
        ("openai", True, answering({"choices": [EMPTY], "usage": TOLD})),
        ("openai", True, streaming(d(role="assistant"), {"choices": [], "usage": TOLD})),
        ("openai", True, streaming({"choices": [], "usage": TOLD}, OVERLOADED)),
        ("openai", True, streaming({**OVERLOADED, "usage": TOLD})),
        ("openai", True, streaming({"choices": [BROKEN | {"message": {}}], "usage": TOLD})),
        ("anthropic", False, answering({"usage": OF_ANTHROPIC})),
        ("responses", False, answering({"status": "failed", "output": [], "usage": OF_ANTHROPIC})),
        (
            "responses",
            True,
            streaming({"type": "response.failed", "response": {"status": "failed", "usage": OF_ANTHROPIC}}),
        ),
    ],
    ids=[
        "empty",
        "broken off",
        "an error",
        "empty, not streamed",
        "cut after its usage",
        "an error after its usage",
        "an error with its usage",
        "broken off with its usage",
        "no message",
        "a failed response",
        "a response that fails",
    ],
)
def test_what_the_provider_told_is_noted_as_it_told_it(wire, stream, answer):
    call = ask(answer, wire=wire, stream=stream)
    used = (call["usage"]["tokens_input"], call["usage"]["tokens_output"])
    assert (used, call["usage_status"]) == ((1000, 500), "reported")
    assert set(call["usage_raw"].values()) <= {1000, 500, 1500}


@pytest.mark.parametrize(
    ("stream", "answer"),
    [
        (False, cut),
        (False, answering({"choices": [EMPTY]})),
        (False, answering({"choices": [BROKEN]})),
        (False, answering(b'{"choices": [')),
        (False, answering({"choices": [EMPTY], "usage": {"seconds": 3}})),
        (True, cut),
        (True, streaming(d(role="assistant"))),
        (True, streaming(then=b"data: }{\n\n")),
        (True, dying),
    ],
    ids=[
        "cut",
        "empty",
        "broken off",
        "half of it",
        "usage of another kind",
        "cut, not streamed",
        "cut in its silence",
        "no events",
        "hung up",
    ],
)
def test_where_it_told_nothing_it_may_have_used_all_that_it_was_allowed(stream, answer):
    call = ask(answer, stream=stream)
    assert (call["possibly_charged"], call["usage_status"]) == (True, "estimated")
    assert call["usage"]["tokens_output"] == MOST
    assert call["usage_raw"] is None


def test_a_page_of_a_server_that_is_no_provider_costs_nothing():
    call = ask(answering(b"<html>It works!</html>"), stream=False)
    assert (call["possibly_charged"], call["usage"]) == (False, None)


def test_what_a_stream_has_counted_at_its_beginning_is_not_what_it_said_in_silence():
    call = ask(streaming(START), wire="anthropic", stream=True)
    assert (call["usage"]["tokens_input"], call["usage"]["tokens_output"]) == (1000, MOST)
    assert call["usage_status"] == "estimated"


@pytest.mark.parametrize(
    ("wire", "stream", "answer"),
    [
        ("openai", False, answering(OVERLOADED, 529)),
        ("openai", False, answering(OVERLOADED)),
        ("openai", False, answering({"base_resp": {"status_code": 1001, "status_msg": "oops"}})),
        ("openai", True, streaming(d(role="assistant"), OVERLOADED)),
        ("anthropic", True, streaming({"type": "error", **OVERLOADED})),
        ("responses", False, answering({"error": {"code": "invalid_prompt", "message": "no"}})),
        ("responses", False, answering({"error": {"code": "invalid_image", "message": "no"}})),
    ],
    ids=["a status", "an error", "MiniMax's", "in a stream", "Anthropic's", "a policy", "a refusal"],
)
def test_a_provider_that_says_that_it_made_no_answer_is_taken_at_its_word(wire, stream, answer):
    call = ask(answer, wire=wire, stream=stream)
    assert (call["possibly_charged"], call["usage"], call["usage_status"]) == (False, None, None)
