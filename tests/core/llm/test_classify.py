"""From a status and a body to the class of failure."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from core.llm import classify


def code(status, words="", **error):
    return classify.by_status(status, {"error": {"message": words, **error}}, {}).code


def beneath(words, raw, **error):
    """As OpenRouter tells what the provider that it asked has said."""
    return {"error": {"message": words, "metadata": {"raw": raw, "provider_name": "X"}, **error}}


@pytest.mark.parametrize(
    ("status", "means"),
    [
        (400, "provider_refused"),
        (401, "provider_key_refused"),
        (402, "provider_quota"),
        (403, "provider_key_refused"),
        (404, "provider_refused"),
        (408, "provider_busy"),
        (413, "provider_refused"),
        (422, "provider_refused"),
        (429, "provider_rate_limited"),
        (498, "provider_busy"),
        (500, "provider_busy"),
        (502, "provider_busy"),
        (503, "provider_busy"),
        (504, "provider_busy"),
        (529, "provider_busy"),
        (599, "provider_busy"),
    ],
)
def test_a_status_alone(status, means):
    assert code(status) == means


@pytest.mark.parametrize("status", [400, 403, 429])
@pytest.mark.parametrize(
    "kind",
    [
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "organization_usage_limit_exceeded",
        "project_spend_limit_exceeded",
    ],
)
def test_a_quota_is_final_whatever_its_status(status, kind):
    assert code(status, "You are out of it.", code=kind) == "provider_quota"


def test_a_spend_limit_of_anthropics_is_known_by_its_finer_code():
    details = {"error_code": "enforced_spend_limit_reached"}
    assert code(429, "Wait until next month.", type="rate_limit_error", details=details) == "provider_quota"


@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is 8192 tokens.",
        "prompt is too long: 208310 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 199759 + 8192 > 200000",
        "the request exceeds the available context size",
        "Please reduce the length of the messages or completion.",
        "`inputs` tokens + `max_new_tokens` must be <= 10. Given: 99 `inputs` tokens and 1 `max_new_tokens`",
        "`inputs` must have less than 10 tokens. Given: 99",
        "Total tokens of image and text exceed max message tokens.",
    ],
)
def test_a_prompt_that_is_too_long(words):
    assert code(400, words) == "context_overflow"
    assert code(429, words) == "provider_rate_limited"


def test_a_content_policy():
    assert code(400, "", code="content_policy_violation") == "content_refused"
    assert code(403, "Your input was flagged for violence.") == "content_refused"
    assert code(400, "The column is case-sensitive.") == "provider_refused"


def test_minimaxs_own_code_says_more_than_the_status():
    body = {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}
    failure = classify.by_status(500, body, {})
    assert (failure.code, failure.http_status) == ("provider_quota", 500)
    assert failure.detail == "MiniMax 1008: insufficient balance"


@pytest.mark.parametrize("body", [{}, {"base_resp": None}, {"base_resp": {"status_code": 0}}, [], "x", None])
def test_no_failure_is_seen_where_there_is_none(body):
    assert classify.by_base_resp(body) is None
    assert classify.by_error_inside(body) is None


@pytest.mark.parametrize(
    ("error", "means"),
    [
        ({"code": 401, "message": "No auth"}, "provider_key_refused"),
        ({"code": "402", "message": "Pay"}, "provider_quota"),
        ({"code": 502, "message": "The upstream was flagged as down"}, "provider_busy"),
        ({"code": "rate_limit_exceeded"}, "provider_rate_limited"),
        ({"type": "overloaded_error"}, "provider_busy"),
        ({"type": "invalid_request_error", "message": "No."}, "provider_refused"),
        ({"message": "Something broke"}, "provider_busy"),
        ({"message": "Context size has been exceeded"}, "context_overflow"),
        ("Model crashed", "provider_busy"),
        ("Unexpected endpoint or method. (POST /chat/completions)", "provider_refused"),
    ],
)
def test_an_error_inside_a_200(error, means):
    failure = classify.by_error_inside({"error": error})
    assert (failure.code, failure.http_status) == (means, 200)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "No."}}, "No."),
        ({"error": "No."}, "No."),
        ({"message": "No."}, "No."),
        ({"detail": "No."}, "No."),
        ("<html>\n  No.", "<html> No."),
        ({"weird": [1]}, '{"weird": [1]}'),
        ({"weird": {"why": None, "name": "Zoë"}}, '{"weird": {"why": null, "name": "Zoë"}}'),
        ({"errors": [{"message": "No."}, {"message": "Nor that."}]}, "No."),
        ({"errors": ["No."]}, "No."),
        ({"errors": []}, '{"errors": []}'),
        ({"error": {"errors": [{"message": "No."}], "code": 400}}, "No."),
        ({"error": [{"message": "No."}]}, "No."),
        ({"error": {"message": ""}, "detail": "No."}, "No."),
        (beneath("", '{"error": {"message": "No."}}'), "No."),
        (beneath("Provider returned error", '{"error": {"message": "No."}}'), "Provider returned error: No."),
        (beneath("Provider returned error", "No."), "Provider returned error: No."),
        (beneath("Provider returned error", {"detail": "No."}), "Provider returned error: No."),
        (beneath("Provider returned error", "[" * 2000), f"Provider returned error: {'[' * 1975}"),
        (beneath("Provider returned error", None), "Provider returned error"),
        (beneath("It says: No.", "No."), "It says: No."),
        (None, "no reason given"),
        ({}, "no reason given"),
    ],
)
def test_the_providers_own_words(body, words):
    assert classify.message(body) == words


def test_a_body_without_words_is_shown_in_part_however_large_and_deep_it_is():
    deep = json.loads(f'{{"a": {"[" * 400}{"]" * 400}}}')
    assert classify.message(deep).startswith('{"a": [[[')
    assert len(classify.message({str(n): "x" * 9 for n in range(100_000)})) <= classify.LONGEST


@pytest.mark.parametrize(
    ("status", "raw", "means"),
    [
        (400, "prompt is too long: 99 tokens > 10 maximum", "context_overflow"),
        (400, "blocked by our content filtering policy", "content_refused"),
        (400, "Invalid API key", "provider_refused"),
        (429, "You exceeded your current quota", "provider_rate_limited"),
    ],
    ids=["too long", "its policy", "the gateway's own key", "the gateway's own quota"],
)
def test_what_the_provider_of_a_gateway_says_is_read(status, raw, means):
    told = beneath("Provider returned error", json.dumps({"error": {"message": raw}}), code=status)
    assert classify.by_status(status, told, {}).code == means
    assert classify.by_error_inside(told).code == means


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": " 1.5 "}, 1.5),
        ({"Retry-After": "Wed, 25 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"Retry-After": "Wed, 25 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"retry-after-ms": "250", "Retry-After": "7"}, 0.25),
        ({"retry-after-ms": "-1"}, 0.0),
        ({"retry-after-ms": "nan"}, None),
        ({"retry-after-ms": "inf"}, classify.LONGEST_WAIT),
        ({"retry-after-ms": "1e30"}, classify.LONGEST_WAIT),
        ({"Retry-After": "9" * 23}, classify.LONGEST_WAIT),
        ({"Retry-After": "9" * 400}, classify.LONGEST_WAIT),
        ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, classify.LONGEST_WAIT),
    ],
)
def test_the_time_to_wait(headers, seconds):
    assert classify.retry_after(headers, datetime(2026, 11, 25, 12, tzinfo=UTC)) == seconds


def test_only_a_failure_that_passes_tells_a_time_to_wait():
    assert classify.by_status(429, {}, {"Retry-After": "7"}).retry_after == 7
    assert classify.by_status(503, {}, {"Retry-After": "7"}).retry_after == 7
    assert classify.by_status(400, {}, {"Retry-After": "7"}).retry_after is None
    too_many = {"error": {"message": "Request too large: tokens per minute", "code": "rate_limit_exceeded"}}
    assert classify.by_status(413, too_many, {"Retry-After": "7"}).retry_after == 7
