"""Large bodies: so many at once of each workspace; the others wait their time and are refused in words."""

from __future__ import annotations

import pytest
from flask import request
from pydantic import ValidationError

from core.errors import TooLarge, Unavailable
from core.heavy import LIGHT
from core.store.free_json import MOST_VALUES
from web.api.models import Chat
from web.bodies import Bodies, rest
from web.context import BODIES
from web.doors.openai.views import Completion


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

    with pytest.raises(TooLarge, match="100000 values and names"):
        rest(b'{"a":[', lambda _: left.pop())
    assert len(left) == 96


def test_a_body_of_just_as_many_values_and_names_as_may_be_is_read():
    """The object, its name, the list, and what stands in it."""
    raw = b'{"a":[' + b"0," * (MOST_VALUES - 4) + b"%b]}"
    most, more = raw % b"0", raw % b"0,0"

    assert rest(most, lambda _: b"") == most
    with pytest.raises(TooLarge):
        rest(more, lambda _: b"")


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


@pytest.fixture
def large(app):
    """A large body that was parsed and not yet looked at; and the large bodies of its process."""
    app.extensions[BODIES] = Bodies(0.01)
    with app.test_request_context(method="POST", json={"message": "a" * LIGHT}):
        yield request.get_json(), app.extensions[BODIES]


def test_a_large_body_is_checked_in_the_turn_in_which_it_was_parsed(large):
    body, bodies = large
    refused(bodies.turn("", 0))
    assert Chat.model_validate(body).message == body["message"]
    with bodies.turn("", 0):
        pass


def test_one_that_is_wrong_ends_its_turn(large):
    body, bodies = large
    with pytest.raises(ValidationError):
        Completion.model_validate(body)
    with bodies.turn("", 0):
        pass


def test_one_that_nobody_checks_ends_its_turn_with_its_request(large):
    _, bodies = large
    refused(bodies.turn("", 0))
    request.close()
    with bodies.turn("", 0):
        pass
