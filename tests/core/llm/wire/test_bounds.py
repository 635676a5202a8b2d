"""Bounds of answers: lists of a million things take their turn, not a minute."""

from __future__ import annotations

import pytest

from core.llm.failures import ProviderBusy
from core.llm.sse import Parser
from core.llm.wire.openai import reasoning


def test_details_of_reasoning_are_kept_up_to_a_bound_and_pieces_of_those_go_on_being_joined():
    kept = reasoning.joined([], [{"index": n, "text": "a"} for n in range(100_000)])
    assert len(kept) == reasoning.MOST
    again = reasoning.joined(kept, [{"index": 0, "text": "b"}, {"index": 999, "text": "c"}])
    assert (len(again), again[0]["text"]) == (reasoning.MOST, "ab")


def test_an_event_of_too_many_values_is_refused_before_it_is_read():
    with pytest.raises(ProviderBusy, match="more values than allowed"):
        list(Parser().feed(b'data: {"choices": [' + b"{}," * 60_000 + b"{}]}\n\n"))
