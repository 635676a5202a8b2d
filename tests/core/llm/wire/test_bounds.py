"""Bounds of answers: lists of a million things take their turn, not a minute."""

from __future__ import annotations

import json

import pytest

from core.llm.failures import ProviderBusy
from core.llm.sse import Parser
from core.llm.wire import WIRES, counts
from core.llm.wire.openai import beside, reasoning


def test_details_of_reasoning_are_kept_up_to_a_bound_and_pieces_of_those_go_on_being_joined():
    details = reasoning.Details()
    details.feed([{"index": n, "text": "a"} for n in range(100_000)])
    assert len(details.gathered) == reasoning.MOST
    details.feed([{"index": 0, "text": "b"}, {"index": 999, "text": "c"}])
    assert (len(details.gathered), details.gathered[0]["text"]) == (reasoning.MOST, "ab")


def test_what_was_gathered_is_not_copied_for_each_piece():
    gathered, details = beside.Beside(), reasoning.Details()
    found = []
    for text in "ab":
        gathered.message({"annotations": [{"text": text}]})
        details.feed([{"index": 0, "text": text}])
        found.append((gathered.kept["annotations"], details.gathered, details.gathered[0]))
    assert all(before is after for before, after in zip(*found, strict=True))
    assert found[0] == (
        [{"text": "a"}, {"text": "b"}],
        [{"index": 0, "text": "ab"}],
        {"index": 0, "text": "ab"},
    )


def test_images_of_a_stream_are_kept_up_to_a_bound():
    gathered = beside.Beside()
    for n in range(9):
        gathered.message({"images": [{"n": n, "url": "x" * 1_000_000}]})
    assert [image["n"] for image in gathered.kept["images"]] == [0, 1, 2]


@pytest.mark.parametrize(
    ("pieces", "whole"),
    [(["aA==", "ZWxsbw=="], "aGVsbG8="), (["aGVs", "bG8="], "aGVsbG8="), (["aG", "VsbG8="], "aGVsbG8=")],
)
def test_pieces_of_sound_are_one_whether_each_ends_for_itself_or_not(pieces, whole):
    gathered = beside.Beside()
    for piece in pieces:
        gathered.message({"audio": {"data": piece}})
    assert gathered.all()["audio"]["data"] == whole


def test_citations_are_kept_up_to_a_bound_each_time_that_they_are_told():
    gathered = beside.Beside()
    for n in range(9):
        gathered.answer({"citations": [f"{n}" * 300_000, "x" * 300_000]})
    assert gathered.kept == {"citations": ["8" * 300_000]}


@pytest.mark.parametrize(
    ("before", "piece", "place"),
    [
        ([{"id": "a"}, {"id": "b"}], {"id": "b"}, 1),
        ([{"id": "a"}, {"id": "b"}], {"id": "c"}, 2),
        ([{"id": "a"}, {"id": "b"}], {}, 0),
        ([{}], {"id": "a"}, 0),
        ([{"type": "s"}], {"type": "t"}, 1),
        ([{"index": 1}], {}, 1),
        ([{"index": None}], {"index": None}, 1),
        ([{"index": [1]}], {"index": [1]}, 0),
    ],
)
def test_a_piece_goes_to_the_detail_of_its_index_type_and_id(before, piece, place):
    details = reasoning.Details()
    details.feed([{"index": 0, "text": "", **detail} for detail in before])
    details.feed([{"index": 0, "text": "x", **piece}])
    assert [detail["text"] for detail in details.gathered].index("x") == place


def test_an_event_of_too_many_values_is_refused_before_it_is_read():
    with pytest.raises(ProviderBusy, match="more values than allowed"):
        list(Parser().feed(b'data: {"choices": [' + b"{}," * 60_000 + b"{}]}\n\n"))


MANY = {f"k{n}": n for n in range(10_000)}


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 3, **MANY},
        {"prompt_tokens": 3, "details": [MANY]},
        {"prompt_tokens": 3, "a": "b" * 10_000},
    ],
)
def test_of_a_usage_that_goes_on_and_on_the_beginning_is_kept(usage):
    kept = counts.kept(usage)
    assert kept["prompt_tokens"] == 3
    assert len(json.dumps(kept)) < 10_000


def test_pieces_of_a_usage_do_not_add_up_to_more():
    stream = WIRES["openai"].Stream()
    for n in range(100):
        stream.feed({"choices": [], "usage": {"prompt_tokens": n, **{f"k{n}-{i}": i for i in range(100)}}})
    assert stream.usage_raw["prompt_tokens"] == 99
    assert len(stream.usage_raw) <= counts.MOST_KEPT


def test_a_usage_nested_deeper_than_a_store_takes_is_cut():
    deep: dict = {}
    for _ in range(300):
        deep = {"in": deep}
    assert json.dumps(counts.kept(deep)).count("{") <= 65
