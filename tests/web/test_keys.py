"""/keys and /agents/{id}/rotate-key."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.accounts import keys
from core.clock import utcnow
from tests.web_client import Client


@pytest.fixture
def using(app):
    return lambda text, **headers: Client(app, text, **headers)


def test_a_key_is_shown_once_and_works(admin, using):
    answer = admin.post("/keys", {"role": "viewer", "name": "for the wall", "rpm": 10})
    assert answer.status_code == 201
    made = answer.json
    text = made.pop("key")
    assert using(text).get("/agents").status_code == 200
    (listed,) = [key for key in admin.get("/keys").json["items"] if key["id"] == made["id"]]
    assert listed == made
    assert (listed["role"], listed["rpm"], listed["key_hint"]) == ("viewer", 10, text[-4:])
    assert text not in admin.get("/keys").text


def test_a_key_is_changed_and_ended(admin, using):
    made = admin.post("/keys", {"role": "member"}).json
    changed = admin.patch(f"/keys/{made['id']}", {"budget_usd": 1.10, "budget_period": "month"})
    assert (changed.status_code, changed.json["budget_usd"]) == (200, 1.1)
    assert admin.patch(f"/keys/{made['id']}", {"expires_at": "2026-01-01T00:00:00Z"}).status_code == 200
    assert using(made["key"]).get("/agents").status_code == 401
    assert admin.patch(f"/keys/{made['id']}", {"expires_at": None}).status_code == 200
    assert using(made["key"]).get("/agents").status_code == 200
    assert admin.delete(f"/keys/{made['id']}").status_code == 204
    assert using(made["key"]).get("/agents").status_code == 401


def test_a_key_is_made_in_the_workspace_that_the_admin_names(admin, using):
    admin.post("/workspaces", {"name": "Other", "id": "other"})
    made = admin.post("/keys", {"role": "member"}, headers={"X-Workspace": "other"}).json
    assert made["workspace_id"] == "other"
    assert admin.patch(f"/keys/{made['id']}", {"name": "x"}).status_code == 404
    agent = using(made["key"]).post("/agents", {"name": "theirs"}).json
    assert agent["workspace_id"] == "other"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"role": "owner"}, "/role"),
        ({"role": "agent"}, "/agents"),
        ({"role": "agent", "agents": ["demo", "demo2"]}, "/agents"),
        ({"role": "agent", "agents": ["nobody"]}, "/agents"),
        ({"role": "agent", "agents": ["agent:nobody"]}, "/agents"),
        ({"role": "admin", "agents": ["demo"]}, "/agents"),
        ({"agents": []}, "/agents"),
        ({"rpm": 0}, "/rpm"),
        ({"rpm": 1.5}, "/rpm"),
        ({"expires_at": "tomorrow"}, "/expires_at"),
        ({"expires_at": "2026-01-01T00:00:00"}, "/expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-14:00"}, "/expires_at"),
        ({"budget_usd": 5.0}, "/budget_period"),
        ({"budget_usd": -1, "budget_period": "day"}, "/budget_usd"),
    ],
)
def test_a_key_that_could_not_be_used_is_refused(admin, body, pointer):
    refused = admin.post("/keys", body)
    assert refused.status_code == 422, refused.text
    assert pointer in [place["pointer"] for place in refused.json["errors"]]


def test_a_key_is_bound_to_agents_of_its_workspace_alone(admin, agent, client_for):
    """As often as one likes."""
    client_for("member", workspace="other")
    elsewhere = {"X-Workspace": "other"}
    for agents in ([agent], [agent, agent]):
        bound = {"role": "member", "agents": agents}
        assert admin.post("/keys", bound).status_code == 201
        assert admin.post("/keys", bound, headers=elsewhere).status_code == 422


def test_a_key_is_bound_to_agents_by_their_names_too(admin, agent):
    made = admin.post("/keys", {"role": "member", "agents": ["agent:scout", "demo"]}).json
    assert made["agents"] == [agent, "demo"]
    changed = admin.patch(f"/keys/{made['id']}", {"agents": ["agent:scout"]})
    assert changed.json["agents"] == [agent]


@pytest.fixture
def halved(admin, member, agent):
    """A key for two agents of which one was deleted since."""
    second = member.post("/agents", {"name": "second", "llm_config": {"provider": "sandbox"}}).json["id"]
    key = admin.post("/keys", {"role": "member", "agents": [agent, second]}).json
    assert member.delete(f"/agents/{second}").status_code == 204
    return key


@pytest.mark.parametrize(
    "change",
    [
        {"rpm": 5},
        {"name": "other"},
        {"expires_at": "2027-01-01T00:00:00Z"},
        {"budget_usd": 1.0, "budget_period": "day"},
    ],
)
def test_of_a_change_only_what_is_given_is_checked(admin, halved, change):
    changed = admin.patch(f"/keys/{halved['id']}", change)
    assert changed.status_code == 200, changed.text
    assert changed.json["agents"] == halved["agents"]


def test_what_is_given_is_checked_and_the_whole_must_still_work(admin, halved):
    path = f"/keys/{halved['id']}"
    assert admin.patch(path, {"agents": halved["agents"]}).status_code == 422
    assert admin.patch(path, {"budget_usd": 1.0}).status_code == 422
    assert admin.patch(path, {"agents": halved["agents"][:1]}).status_code == 200


def test_an_agents_key_whose_agent_is_gone_can_still_be_changed(admin, member, agent):
    key = admin.post("/keys", {"role": "agent", "agents": [agent]}).json
    assert member.delete(f"/agents/{agent}").status_code == 204
    assert admin.patch(f"/keys/{key['id']}", {"rpm": 5}).status_code == 200


def test_rotating_an_agents_key_ends_the_old_one_at_once_or_after_a_grace(member, agent, using):
    first = member.post(f"/agents/{agent}/rotate-key")
    assert (first.status_code, first.json["role"], first.json["agents"]) == (201, "agent", [agent])
    second = member.post(f"/agents/{agent}/rotate-key", {"grace": 300}).json
    chat = {"message": "a"}
    assert using(first.json["key"]).post(f"/agents/{agent}/chat", chat).status_code == 202
    assert using(second["key"]).post(f"/agents/{agent}/chat", chat).status_code == 202
    third = member.post(f"/agents/{agent}/rotate-key", {"grace": 0}).json
    assert using(second["key"]).post(f"/agents/{agent}/chat", chat).status_code == 401
    assert using(third["key"]).post(f"/agents/{agent}/chat", chat).status_code == 202


@pytest.mark.parametrize(("header", "scheme"), [("X-API-Key", ""), ("Authorization", "bearer ")])
def test_the_other_header_does_the_same_and_so_does_the_scheme_in_small_letters(admin, app, header, scheme):
    text = admin.post("/keys", {"role": "viewer"}).json["key"]
    assert Client(app, None, **{header: scheme + text}).get("/agents").status_code == 200


def test_a_key_that_an_operator_chose_may_have_any_letters(app, services):
    text = "clé-ключ-of-an-operator"
    chosen = {"role": "admin", "workspace_id": "default", "name": "", "created_by": "test", "limits": {}}
    services.db["keys"].insert_one(keys.born(text, **chosen))
    as_sent = text.encode().decode("latin-1")  # which is how WSGI hands over bytes
    assert Client(app, as_sent).get("/agents").status_code == 200


@pytest.mark.parametrize("limits", [{"rpm": 100}, {"expires_at": utcnow() + timedelta(days=1)}])
def test_who_has_limits_does_not_rotate_them_away(client_for, agent, limits):
    limited = client_for("member", **limits)
    assert limited.post(f"/agents/{agent}/rotate-key").status_code == 403


def test_a_key_is_rotated_in_place_of_another(admin, using):
    old = admin.post("/keys", {"role": "member", "name": "ci", "rpm": 60}).json
    new = admin.post(f"/keys/{old['id']}/rotate", {"grace": 0}).json
    assert (new["role"], new["name"], new["rpm"]) == ("member", "ci", 60)
    assert using(new["key"]).get("/agents").status_code == 200
    assert using(old["key"]).get("/agents").status_code == 401
    assert admin.post(f"/keys/{old['id']}/rotate", {}).status_code == 409
