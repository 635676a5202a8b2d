"""What providers say when they refuse, and what a client is told of it: by the API and the door."""

from __future__ import annotations

import pytest

from core.llm import classify
from tests.providers.said import DONE, d, whole
from tests.providers.scripted import answering, streaming
from tests.web.asking import ROADS, ask

GOOGLES = {"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}}
QUOTA = "You exceeded your current quota, please check your plan and billing details."
RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"}


@pytest.fixture
def agent(vendors_agent):
    return vendors_agent


def error(status, message, **more):
    return answering({"error": {"message": message, **more}}, status)


@pytest.mark.parametrize("road", ROADS)
def test_a_refused_key_is_no_401_of_ours(member, agent, vendor, road):
    vendor.says(error(401, "Incorrect API key provided"))
    told = ask(member, agent, road)
    assert told.status == (200 if road.startswith("api") else 424)
    assert told.error["code"] == "provider_key_refused"
    assert "Incorrect API key provided" in (told.error.get("detail") or told.error["message"])


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (error(402, "Insufficient credits"), "provider_quota"),
        (error(429, QUOTA, code="insufficient_quota"), "provider_quota"),
        (error(403, "Your key may not do this"), "provider_key_refused"),
    ],
)
def test_a_providers_trouble_is_no_trouble_of_the_callers(member, agent, vendor, road, answer, code):
    """OpenAI's clients read 401, 402, 403 and insufficient_quota as being about their own key."""
    vendor.says(answer)
    told = ask(member, agent, road)
    assert told.error["code"] == code
    if road.startswith("door"):
        assert (told.status, told.error["type"]) == (424, "provider_error")
        assert told.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("road", ["door", "door-stream"])
def test_a_busy_providers_wait_is_handed_on(member, agent, vendor, road):
    vendor.says(answering({"error": {"message": "Overloaded"}}, 503, ("Retry-After", "37")))
    told = ask(member, agent, road)
    assert (told.status, told.headers["Retry-After"]) == (502, "37")


@pytest.mark.parametrize("road", ROADS)
def test_the_error_of_a_list_is_read_as_googles(member, agent, vendor, road):
    vendor.says(answering([GOOGLES], 400))
    told = ask(member, agent, road)
    assert told.error["code"] == "provider_key_refused"
    assert (told.error.get("detail") or told.error["message"]) == "API key not valid."


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize(
    ("answer", "waits"),
    [
        (answering({"error": {"message": "Slow down"}}, 429, ("Retry-After", "37")), 37),
        (answering({"error": {"message": "Slow down"}}, 429, ("Retry-After", "9" * 23)), 30 * 86_400),
        (error(429, QUOTA, details=[RETRY_INFO]), 37),
        (answering([{"error": {"message": QUOTA, "details": [RETRY_INFO]}}], 429), 37),
        (error(429, "Rate limit reached: please try again in 1m6.5s."), 67),
    ],
)
def test_a_rate_limit_hands_its_wait_on(member, agent, vendor, road, answer, waits):
    vendor.says(answer)
    told = ask(member, agent, road)
    assert told.error["code"] == "provider_rate_limited"
    if road.startswith("api"):
        assert told.error["retry_after"] == waits
    else:
        assert (told.status, told.headers["Retry-After"]) == (429, str(waits))
        assert "x-should-retry" not in told.headers


@pytest.mark.parametrize("road", ["api", "door"])
def test_an_error_as_long_as_an_answer_is_cut(member, agent, vendor, road):
    vendor.says(answering({"error": {"message": "Too many words. " * 240_000, "code": 400}}))
    told = ask(member, agent, road)
    assert told.error["code"] == "provider_refused"
    assert len(told.error.get("detail") or told.error["message"]) <= classify.LONGEST


def test_what_stands_behind_the_beginning_of_a_long_error_decides_nothing():
    body = {"error": {"message": "x" * 3_800_000 + "maximum context length", "code": 400}}
    assert classify.by_error_inside(body).code == "provider_refused"


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", 400),
        ("This model's maximum prompt length is 131072 but the request contains 200000 tokens.", 400),
        ("Invalid request: Your request exceeded model token limit: 131072", 400),
        ("Input is too long for requested model.", 400),
        ("Input is too long for requested model.", 413),
        ("<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 129024]", 400),
    ],
)
def test_too_long_in_other_words(words, status):
    assert classify.by_status(status, {"error": {"message": words}}, {}).code == "context_overflow"
    assert classify.by_error_inside({"error": {"message": words, "code": status}}).code == "context_overflow"


def test_a_413_about_tokens_a_minute_is_a_rate_limit_and_another_413_is_not():
    def code(status, body):
        return classify.by_status(status, body, {}).code

    groq = {"error": {"message": "Request too large, tokens per minute", "code": "rate_limit_exceeded"}}
    assert code(413, groq) == "provider_rate_limited"
    assert code(413, {"error": {"message": "Request Entity Too Large"}}) == "provider_refused"


@pytest.mark.parametrize("road", ROADS)
def test_tokens_a_minute_are_no_refusal_of_the_request(member, agent, vendor, services, road):
    limited = error(413, "Request too large for model on tokens per minute", code="rate_limit_exceeded")
    streamed = road.endswith("-stream")
    vendor.says(limited, streaming(d("stop", content="Hi"), DONE) if streamed else whole(content="Hi"))
    assert ask(member, agent, road).error is None
    (job,) = services.db.jobs.find()
    assert [call["outcome"] for call in job["calls"]] == ["provider_rate_limited", "ok"]


def test_quota_without_a_delay_is_still_final():
    assert classify.by_status(429, {"error": {"message": QUOTA}}, {}).code == "provider_quota"
