"""Heavy work: one piece at a time of each workspace; others' are not waited for."""

from __future__ import annotations

import pytest

from core.heavy import BYTES_PER_S, Heavy


def test_a_workspace_does_one_heavy_thing_at_a_time():
    heavy = Heavy()
    with heavy.turn("a"), pytest.raises(TimeoutError), heavy.turn("a", within_s=0.01):
        raise AssertionError("two at once")


def test_another_workspace_is_not_waited_for():
    heavy = Heavy()
    with heavy.turn("a"), heavy.turn("b", within_s=0.01):
        pass


def test_the_next_one_follows_when_it_has_ended_even_badly():
    heavy = Heavy()
    with pytest.raises(ZeroDivisionError), heavy.turn("a"):
        raise ZeroDivisionError
    with heavy.turn("a"):
        pass


def test_after_a_turn_its_workspace_rests():
    heavy = Heavy()
    with heavy.turn("a"):
        sum(range(1_000_000))
    assert not heavy._of("a").idle()
    assert heavy._of("b").idle()


def test_it_rests_for_bytes_too():
    heavy = Heavy()
    with heavy.turn("a", size=BYTES_PER_S * 60):
        pass
    assert not heavy._of("a").idle()
