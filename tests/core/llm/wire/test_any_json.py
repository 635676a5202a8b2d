"""Whatever a provider sends: nothing but a `ProviderError` is raised, and what is returned can be stored."""

from __future__ import annotations

import copy
import json

import bson
import pytest
from bson.codec_options import CodecOptions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.llm import classify
from core.llm.failures import ProviderError, ProviderRefused
from core.llm.sse import Parser
from core.llm.wire import WIRES
from core.store import free_json
from tests.core.llm.wire.replay import CLAUDE, EXCHANGES, GPT, RESPONSES, events, named
from tests.factory import asking

KEPT = CodecOptions(type_registry=free_json.REGISTRY)
ODD = st.sampled_from(
    [
        *(None, True, False, 0, 1, -1, 3.0, 2.5, float("nan"), float("inf"), 10**30, -(10**30), 2**63),
        *("", "\ud800", "\ud83d\ude00", "\0", "error", "<think>", "</think>", "1004", "null"),
        *(
            [],
            [[]],
            [None],
            [{}],
            {},
            {"a": None},
            {"$a": 1, "b\0": 2},
            {"$ref": "a", "$id": 1},
            {"error": []},
            {"type": []},
        ),
    ]
)
ANY = st.recursive(
    ODD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
BOUNDED = settings(max_examples=60, derandomize=True, suppress_health_check=list(HealthCheck))
BODIES = {name: EXCHANGES[name]["body"] for name in named("body")}
STREAMS = {name: list(events(EXCHANGES[name])) for name in named("stream")}
COUNTS = {
    "openai": ("prompt_tokens", "completion_tokens"),
    "anthropic": ("input_tokens", "output_tokens"),
    "responses": ("input_tokens", "output_tokens"),
}


def places(value, path=()):
    """Every place within some JSON."""
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, key))


@st.composite
def spoiled(draw, originals):
    """(wire, JSON) of an exchange with something odd in one or two places."""
    name = draw(st.sampled_from(list(originals)))
    changed = {"all": copy.deepcopy(originals[name])}
    for _ in range(draw(st.integers(1, 2))):
        *path, last = draw(st.sampled_from(list(places(changed))[1:]))
        within = changed
        for key in path:
            within = within[key]
        within[last] = copy.deepcopy(draw(ANY))
    return WIRES[EXCHANGES[name]["wire"]], changed["all"]


def test_json_that_is_too_deep_to_read_is_no_answer():
    for opened, closed in (("[", "]"), ('{"a":', "1}")):
        deep = (opened * 100_000 + closed * 100_000).encode()
        with pytest.raises(ProviderError):
            list(Parser().feed(b"data: " + deep + b"\n\n"))


def test_json_that_is_deep_is_cut():
    deep = json.loads("[" * 500 + "]" * 500)
    for wire in WIRES.values():
        for place in ({"error": deep}, {"usage": {"x": deep}, "choices": [], "content": []}):
            read(wire, place)
            feed(wire, [place])
    assert "[[" in classify.by_status(400, deep, {}).detail


def check(answer):
    message, finish_reason, usage, raw, unknown = answer
    kept = {
        "message": message,
        "finish": finish_reason,
        "raw": raw,
        "usage": usage and usage.public(),
        "unknown": list(unknown),
    }
    assert bson.decode(bson.encode(free_json.storable(kept), codec_options=KEPT), KEPT) == kept
    json.dumps(message, ensure_ascii=False).encode()
    assert message["role"] == "assistant"
    assert message["content"] is None or isinstance(message["content"], str)
    for call in message["tool_calls"] or []:
        assert "custom" in call or isinstance(call["function"]["arguments"], str)
    if usage is not None:
        assert all(0 <= tokens < 2**53 for tokens in usage.public().values())
        assert usage.tokens_cached <= usage.tokens_input
        assert usage.tokens_reasoning <= usage.tokens_output


def read(wire, body):
    try:
        failure = wire.failure_inside(body)
        if failure is not None:
            raise failure
        check(wire.from_wire(body))
    except ProviderError as error:
        error.detail.encode()


def feed(wire, given):
    stream = wire.Stream()
    try:
        for event in given:
            for delta in stream.feed(event):
                json.dumps(delta, ensure_ascii=False).encode()
    except ProviderError as error:
        error.detail.encode()
    check(stream.answer())


@BOUNDED
@given(spoiled(BODIES))
def test_a_spoiled_body(given):
    read(*given)


@BOUNDED
@given(spoiled(STREAMS))
def test_a_spoiled_stream(given):
    wire, changed = given
    feed(wire, changed if isinstance(changed, list) else [changed])


@pytest.mark.parametrize("wire", WIRES.values())
@BOUNDED
@given(body=ANY)
def test_a_body_of_anything(wire, body):
    read(wire, body)
    feed(wire, [body])
    wire.usage(body)


@BOUNDED
@given(spoiled(BODIES), st.sampled_from([400, 401, 402, 403, 404, 413, 429, 498, 500, 529, 599]))
def test_a_spoiled_error(given, status):
    failure = classify.by_status(status, given[1], {})
    assert isinstance(failure, ProviderError)
    bson.encode({"detail": failure.detail})


@BOUNDED
@given(st.text() | st.sampled_from(["-1", "nan", "inf", "1e999", "Mon, 32 Jan 99999 99:99:99 GMT"]))
def test_any_time_to_wait(words):
    for name in ("retry-after-ms", "Retry-After"):
        wait = classify.retry_after({name: words})
        assert wait is None or 0 <= wait < float("inf")


@pytest.mark.parametrize("target", [CLAUDE, GPT, RESPONSES])
@BOUNDED
@given(parts=ANY, other=ANY)
def test_a_clients_odd_parts_are_mapped_or_refused(target, parts, other):
    said = [
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": parts}, {"type": "text", "text": other}],
        },
        {"role": "assistant", "content": None, "tool_calls": [{"id": other, "function": parts}]},
        {"role": "assistant", "content": parts, "thinking_blocks": other, "reasoning": other},
        {"role": "assistant", "content": other, "tool_calls": parts, "refusal": other, "name": parts},
        {"role": "tool", "content": other, "tool_call_id": parts},
        {"role": parts, "content": other},
    ]
    tools, choice = [{"type": "function", "function": parts}], other if isinstance(other, dict) else None
    for message in said:
        request = asking([message], tools=tools, tool_choice=choice)
        try:
            json.dumps(WIRES[target.wire].to_wire(request, target))
        except ProviderRefused:
            continue


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("count", [-1, True, 1.5, float("nan"), 10**30, "7", None, [], {}])
def test_a_count_that_is_none_is_missing(name, count):
    usage = WIRES[name].usage
    sane = dict.fromkeys(COUNTS[name], 3)
    assert usage(sane).tokens_total == 6
    for field in COUNTS[name]:
        assert len(usage({**sane, field: count}).untold) == 1
    assert usage(dict.fromkeys(COUNTS[name], count)) is None


@pytest.mark.parametrize("name", COUNTS)
def test_zero_that_is_reported_is_zero(name):
    assert WIRES[name].usage(dict.fromkeys(COUNTS[name], 0)).tokens_total == 0
