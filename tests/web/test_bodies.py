"""Large bodies: so many at once of each workspace; the others wait their time and are refused in words."""

from __future__ import annotations

import pytest

from core.errors import TooLarge, Unavailable
from core.heavy import LIGHT
from web.bodies import Bodies, rest
from web.context import BODIES


def refused(place):
    with pytest.raises(Unavailable, match="too many large bodies at once"), place:
        raise AssertionError("let in")


def test_a_workspace_has_a_share_of_the_places_and_leaves_the_rest_to_others():
    bodies = Bodies(0.01, at_once=3, share=2)
    with bodies.place("a"), bodies.place("a"):
        refused(bodies.place("a"))
        with bodies.place("b"):
            refused(bodies.place("c"))
    with bodies.place("a"), bodies.place("b"):
        pass


def test_one_that_does_not_get_its_turn_is_refused():
    bodies = Bodies(0.01)
    with bodies.turn("a", 0):
        refused(bodies.turn("a", 0))


def test_a_body_of_too_many_values_is_read_no_further():
    left = [b"0," * (LIGHT // 2)] * 100

    with pytest.raises(TooLarge, match="50000 values"):
        rest(b'{"a":[', lambda _: left.pop())
    assert len(left) == 98


def test_while_no_place_is_free_small_bodies_are_taken_and_large_ones_refused(app, member, agent):
    app.extensions[BODIES] = Bodies(0.01, at_once=0)
    assert member.post(f"/agents/{agent}/chat", {"message": "a"}).status_code == 202
    late = member.post(f"/agents/{agent}/chat", {"message": "a" * LIGHT})
    assert (late.status_code, late.json["code"]) == (503, "unavailable")
    assert late.headers["Retry-After"]
    assert late.headers["Connection"] == "close"


def test_a_large_body_comes_whole(member, agent, services):
    text = "é" * LIGHT
    made = member.post(f"/agents/{agent}/chat", {"message": text})
    job = services.db.jobs.find_one({"_id": made.json["id"]})
    assert job["request"]["messages"] == [{"role": "user", "content": text}]
