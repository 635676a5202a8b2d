"""What providers tell of the tokens that a call took: by the API and the door, streamed and not."""

from __future__ import annotations

import pytest

from tests.providers.said import DONE, d
from tests.providers.scripted import answering, streaming
from tests.web.asking import ROADS, ask

STREAMED = ["api-stream", "door-stream"]


@pytest.fixture
def agent(vendors_agent):
    return vendors_agent


FULL = {"prompt_tokens": 1234, "completion_tokens": 2, "total_tokens": 1236}


def tells(vendor, road, usage, said="x"):
    """The vendor answers with this usage, in the form that this road asks for."""
    if road in STREAMED:
        vendor.says(streaming(d("stop", content=said), {"choices": [], "usage": usage}, DONE))
    else:
        choice = {"index": 0, "message": {"content": said}, "finish_reason": "stop"}
        vendor.says(answering({"choices": [choice], "usage": usage}))


def used(client, agent, road):
    """(prompt, completion, cached) as the client sees them."""
    more = {"stream_options": {"include_usage": True}} if road == "door-stream" else {}
    usage = ask(client, agent, road, **more).usage
    if road.startswith("api"):
        return usage["tokens_input"], usage["tokens_output"], usage["tokens_cached"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    return usage["prompt_tokens"], usage["completion_tokens"], cached


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({**FULL, "prompt_cache_hit_tokens": 960}, (1234, 2, 960)),
        ({**FULL, "cached_tokens": 960}, (1234, 2, 960)),
        ({"prompt_tokens": 1234, "total_tokens": 1240}, (1234, 6, 0)),
        ({"prompt_tokens": 1234}, (1234, 4, 0)),
        ({"total_tokens": 82}, (9, 73, 0)),
        ({"total_tokens": 3}, (3, 0, 0)),
        ({"input_tokens": 1234, "output_tokens": 2}, (1234, 2, 0)),
        ({**FULL, "total_tokens": 1286}, (1234, 52, 0)),
        (
            {
                **FULL,
                "total_tokens": 1286,
                "completion_tokens_details": {"reasoning_tokens": 50},
            },
            (1234, 52, 0),
        ),
    ],
)
def test_usage_is_kept_as_far_as_it_is_told(member, agent, vendor, road, usage, expected):
    tells(vendor, road, usage, "Hello there")
    assert used(member, agent, road) == expected


@pytest.mark.parametrize("road", STREAMED)
def test_usage_that_is_told_with_the_last_choice_counts(member, agent, vendor, road):
    last = {"index": 0, "delta": {}, "finish_reason": "stop", "usage": FULL}
    vendor.says(streaming(d(content="x"), {"choices": [last]}, DONE))
    assert used(member, agent, road) == (1234, 2, 0)


@pytest.mark.parametrize("road", STREAMED)
@pytest.mark.parametrize("zeros", [{**dict.fromkeys(FULL, 0)}, {**FULL, "prompt_tokens": 0}])
def test_usage_that_was_told_is_not_replaced_by_zero(member, agent, vendor, road, zeros):
    told = [{"choices": [], "usage": usage} for usage in (FULL, zeros)]
    vendor.says(streaming(d("stop", content="x"), *told, DONE))
    assert used(member, agent, road) == (1234, 2, 0)


@pytest.mark.parametrize("road", STREAMED)
def test_anthropics_usage_that_was_told_is_not_replaced_by_zero(member, claude, vendor, road):
    events = (
        {"type": "message_start", "message": {"usage": {"input_tokens": 1234, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "Hello"}},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"input_tokens": 0, "output_tokens": 9},
        },
        {"type": "message_stop"},
    )
    vendor.says(streaming(*events))
    assert used(member, claude, road) == (1234, 9, 0)


@pytest.mark.parametrize("road", ROADS)
def test_a_write_to_the_cache_is_counted(member, agent, vendor, services, road):
    written = {"cached_tokens": 0, "cache_write_tokens": 4012}
    tells(vendor, road, {"prompt_tokens": 4020, "completion_tokens": 2, "prompt_tokens_details": written})
    more = {"stream_options": {"include_usage": True}} if road == "door-stream" else {}
    told = ask(member, agent, road, **more).usage
    of_prompt = told if road.startswith("api") else told["prompt_tokens_details"]
    assert 4012 in (of_prompt.get("tokens_cache_write"), of_prompt.get("cache_write_tokens"))
    (job,) = services.db.jobs.find()
    kept = job["result"]["usage"]
    assert (kept["tokens_cache_write"], kept["tokens_cached"]) == (4012, 0)


@pytest.mark.parametrize("road", ROADS)
def test_no_tokens_cost_nothing(member, agent, vendor, services, road):
    tells(vendor, road, dict.fromkeys(FULL, 0))
    ask(member, agent, road)
    (job,) = services.db.jobs.find()
    assert (job["result"]["cost"], job["result"]["cost_status"]) == (0, "free")
