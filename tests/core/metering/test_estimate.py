"""The most that a call may cost: all that is sent and priced counts; what cannot be counted is not known."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.metering import estimate
from core.metering.estimate import costs_of, largest
from core.metering.prices import table
from tests.core.metering.budgeted import CENT
from tests.core.metering.rows import PRICES
from tests.factory import TARGET

MINI = TARGET
CLAUDE = {**TARGET, "provider": "anthropic", "model": "claude-sonnet-4-5"}
OWN = {**TARGET, "key_kind": "custom", "model": "m"}
LOCAL = {**OWN, "model": "local", "keyed": False}
OWN_PRICES = table(
    [{"provider": "openai", "model": "m", "input": "1", "output": "1"}], source="workspace", version="1"
)
LONG = "word " * 20_000
"""100,000 bytes: 25,000 tokens and a few, as vendors count."""
HELLO = [{"role": "user", "content": "hello"}]


def said(*parts):
    return [{"role": "user", "content": list(parts)}]


def picture(url="data:image/png;base64,AAAA"):
    return {"type": "image_url", "image_url": {"url": url}}


def most(target=MINI, **asked):
    """USD."""
    plan = {"targets": [target], "agent": {}}
    request = {"messages": HELLO, "max_tokens": 16, **asked}
    ((_, cost),) = estimate.costs_of(plan, request, PRICES, OWN_PRICES, unknown_window=16_384)
    return cost


def real(target, tokens_input, tokens_output=16, **more):
    usage = {"tokens_input": tokens_input, "tokens_output": tokens_output, **more.pop("usage", {})}
    return PRICES.of({**target, "usage": usage, **more}, OWN_PRICES).cost


@pytest.mark.parametrize(
    "more",
    [
        {"messages": said({"type": "text", "text": LONG})},
        {"tools": [{"type": "function", "function": {"name": "x", "description": LONG}}]},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"description": LONG}}}},
        {"extra": {"documents": [LONG]}},
    ],
    ids=["text", "tools", "a schema", "extra"],
)
def test_all_that_is_sent_is_counted(more):
    assert real(MINI, 25_000) < most(**more) < 2 * real(MINI, 50_000, 50_000)


def test_a_prediction_may_be_paid_for_like_an_answer():
    assert most(extra={"prediction": {"type": "content", "content": LONG}}) > real(MINI, 25_000, 25_000)


def test_what_is_written_to_a_cache_costs_more_than_what_is_read():
    messages = said({"type": "text", "text": LONG})
    written = real(CLAUDE, 25_000, usage={"tokens_cache_write": 25_000})
    assert written < most(CLAUDE, messages=messages) < real(CLAUDE, 50_000)


@pytest.mark.parametrize(
    "asked",
    [
        {"prompt_cache": "1h", "messages": said({"type": "text", "text": LONG})},
        {
            "messages": said(
                {"type": "text", "text": LONG, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
            )
        },
    ],
    ids=["by name", "by a mark"],
)
def test_for_an_hour_it_costs_twice_as_much(asked):
    assert most(CLAUDE, **asked) > real(CLAUDE, 2 * 25_000)


@pytest.mark.parametrize(
    ("target", "tokens"),
    [(MINI, 25_501), ({**MINI, "model": "gpt-4o"}, 1_105), (CLAUDE, 4_784), (OWN, 16_384)],
    ids=["gpt-4o-mini", "gpt-4o", "Claude", "another"],
)
@pytest.mark.parametrize(
    "part",
    [picture(), picture("https://example.com/a.png"), {"type": "file", "file_id": "f1", "bytes": 0}],
    ids=["its bytes", "its address", "of the drive"],
)
def test_a_picture_costs_what_its_model_takes_it_for(target, tokens, part):
    one, two = (most(target, messages=said(*[part] * n)) for n in (1, 2))
    assert two - one >= real(target, tokens, 0)
    assert one < Decimal("0.05")


def test_a_service_tier_costs_what_a_table_says_of_it():
    assert most(service_tier="priority") is None
    assert most(service_tier="default") == most()
    assert most(OWN, service_tier="priority") is None


ELSEWHERE = [
    {"messages": said({"type": "file", "file": {"file_id": "file-1"}})},
    {"messages": said({"type": "file", "bytes": 1, "file": {"file_url": "https://example.com/a.pdf"}})},
    {"messages": said({"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}})},
    {"tools": [{"type": "web_search"}]},
    {"extra": {"web_search_options": {}}},
]
NAMES = ["a file's id", "its address", "a video", "a tool of the vendor", "a search"]


@pytest.mark.parametrize("more", ELSEWHERE, ids=NAMES)
def test_what_a_provider_adds_fills_at_most_the_models_window(more):
    assert most(**more) >= real(MINI, 128_000)


@pytest.mark.parametrize("more", ELSEWHERE, ids=NAMES)
def test_where_nobody_knows_the_window_the_cost_is_not_known(more):
    assert most(OWN, **more) is None
    assert most(LOCAL, **more) is not None


@pytest.mark.parametrize(
    "more",
    [
        {"messages": said({"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}})},
        {"messages": said({"type": "file", "file_id": "f1", "bytes": 300})},
        {"messages": said({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}})},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"tools": [{"type": "custom", "custom": {"name": "f"}}]},
        {"extra": {"top_k": 40}},
    ],
    ids=["its bytes", "of the drive", "sound", "a tool", "a custom tool", "a number"],
)
def test_what_comes_with_the_request_is_known(more):
    assert most(OWN, **more) < Decimal("0.001")


def tokens_of(*targets, **request):
    """What may be read, and said."""
    plan = {"targets": list(targets), "agent": {}}
    found = estimate.most(plan, {"messages": HELLO, **request}, unknown_window=16_384)
    return found["tokens_input"], found["tokens_output"]


def test_an_answer_without_a_limit_is_as_long_as_any_of_the_providers_lets_it_be():
    claude = {**CLAUDE, "wire": "anthropic"}
    each = [tokens_of(target)[1] for target in (MINI, claude)]
    assert each[0] != each[1]
    assert tokens_of(MINI, claude)[1] == tokens_of(claude, MINI)[1] == max(each)


def test_a_message_that_is_longer_than_the_window_of_its_conversation_counts_whole():
    long = [{"role": "user", "content": LONG}]
    assert tokens_of(OWN, conversation_id="c1")[0] == 16_384
    assert tokens_of(OWN, conversation_id="c1", messages=long)[0] > 25_000


def largest_cost(plan, request):
    return largest(costs_of(plan, request, PRICES, unknown_window=16_384))


def test_an_estimate_is_the_dearest_targets():
    request = {"messages": [{"role": "user", "content": "x" * 3000}], "max_tokens": 1000}
    cheap = {"provider": "openai", "model": "gpt-4o-mini", "key_kind": "byokey", "wire": "openai"}
    dear = {"provider": "openai", "model": "gpt-4o", "key_kind": "byokey", "wire": "openai"}
    asked = largest_cost({"targets": [dear]}, request)
    assert largest_cost({"targets": [cheap, dear]}, request) == asked > CENT
    assert largest_cost({"targets": [cheap, {**dear, "model": "of my own"}]}, request) is None


def test_an_answer_without_a_limit_is_taken_for_what_it_may_be_and_the_agents_own_limit_counts():
    plan = {
        "targets": [{"provider": "openai", "model": "gpt-4o-mini", "key_kind": "byokey", "wire": "openai"}]
    }
    asked = {"messages": [{"role": "user", "content": "hi"}]}
    assert largest_cost(plan, asked) == largest_cost(plan, {**asked, "max_tokens": 4096})
    claude = {
        "targets": [{**TARGET, "provider": "anthropic", "model": "claude-sonnet-4-5", "wire": "anthropic"}]
    }
    assert largest_cost(claude, asked) == largest_cost(claude, {**asked, "max_tokens": 8192})
    limited = {**plan, "agent": {"max_tokens": 50}}
    assert largest_cost(limited, asked) == largest_cost(plan, {**asked, "max_tokens": 50})


def test_a_conversation_may_fill_the_models_window():
    plan = {
        "targets": [{"provider": "openai", "model": "gpt-4o-mini", "key_kind": "byokey", "wire": "openai"}]
    }
    asked = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 10}
    alone = largest_cost(plan, asked)
    window = 128_000 * Decimal("0.15") / 1_000_000
    assert largest_cost(plan, {**asked, "conversation_id": "c1"}) >= window > alone


def test_at_a_users_own_address_nobody_knows_the_window():
    managed = {"provider": "openai", "model": "gpt-4o-mini", "key_kind": "managed", "wire": "openai"}
    plan = {"targets": [{**managed, "key_kind": "custom"}, managed]}
    asked = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 10, "conversation_id": "c1"}
    assert largest_cost(plan, asked) < 17_000 * Decimal("0.15") / 1_000_000
