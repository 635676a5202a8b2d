"""Requests in progress: a workspace has as many places as it leaves to others, and gives each back."""

from __future__ import annotations

import pytest

from core.errors import RateLimited
from tests.factory import queued
from tests.web.conftest import stored
from web.context import PLACES
from web.places import Places

DEFAULT = "default"


@pytest.fixture
def places(app):
    """Those of the app; in the end all are free."""
    places = app.extensions[PLACES]
    yield places
    assert not places.taken


def most_of(places, whose):
    """How many it gets."""
    for n in range(places.most + 1):
        try:
            places.take(whose)
        except RateLimited:
            return n
    return None


@pytest.mark.parametrize(("others", "left"), [(0, 6), (1, 3), (2, 2)])
def test_a_workspace_has_as_many_as_it_leaves_to_others(others, left):
    places = Places(12)
    for n in range(others):
        most_of(places, f"o{n}")
    assert most_of(places, "a") == left
    assert most_of(places, "b")


def test_one_that_left_makes_room_once_for_another():
    places = Places(2)
    leave = places.take("a")
    with pytest.raises(RateLimited, match="1 requests of this workspace are in progress here"):
        places.take("a")
    leave()
    places.take("a")


def test_whose_places_are_taken_is_told_so_and_others_are_served(client_for, places):
    places.most = 4
    leave = [places.take(DEFAULT) for _ in range(2)]
    refused = client_for("viewer").get("/agents")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert client_for("viewer", workspace="other").get("/agents").status_code == 200
    assert client_for("viewer").get("/healthz").status_code == 200
    for end in leave:
        end()
    assert client_for("viewer").get("/agents").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/agents", 200), ("GET", "/agents/none", 404), ("POST", "/agents", 422), ("POST", "/keys", 403)],
)
def test_a_request_leaves_its_place_when_it_is_answered(member, places, method, path, status):
    assert member(method, path, json={}).status_code == status
    assert not places.taken


def test_a_stream_leaves_its_place_when_it_has_ended(services, member, agent, places):
    job = queued(services.db, workspace_id=DEFAULT, agent_id=agent)["_id"]
    stream = member.get(f"/jobs/{job}/events")
    next(iter(stream.response))
    assert places.taken == {DEFAULT: 1}
    stream.close()
    assert not places.taken


def test_so_does_a_download(services, app, member, agent, places):
    download = member.get(f"/drive/download/{stored(services, app, agent)}")
    assert places.taken == {DEFAULT: 1}
    download.close()
    assert not places.taken
