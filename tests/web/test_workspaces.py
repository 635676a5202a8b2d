"""/workspaces."""

from __future__ import annotations

import base64

import pytest


def test_a_workspace_is_made_and_an_admin_acts_in_it(admin):
    made = admin.post("/workspaces", {"name": "Other", "id": "other"})
    assert (made.status_code, made.json["id"]) == (201, "other")
    assert admin.post("/workspaces", {"name": "Again", "id": "other"}).status_code == 409
    ids = [workspace["id"] for workspace in admin.get("/workspaces").json["items"]]
    assert ids == ["other", "default"]
    there = {"X-Workspace": "other"}
    agent = admin.post("/agents", {"name": "scout"}, headers=there).json
    assert agent["workspace_id"] == "other"
    assert admin.get(f"/agents/{agent['id']}").status_code == 404
    assert admin.get(f"/agents/{agent['id']}", headers=there).status_code == 200


def test_a_workspace_that_is_not_there(admin):
    assert admin.get("/agents", headers={"X-Workspace": "none"}).status_code == 404


def test_an_id_that_cannot_be_one_is_refused(admin):
    assert admin.post("/workspaces", {"name": "Other", "id": "a/b"}).status_code == 422


def test_the_webhook_secret_is_rotated(admin, member):
    before = admin.get("/workspaces/default/webhook-secret").json["secret"]
    after = admin.post("/workspaces/default/webhook-secret/rotate", {"grace": 60}).json["secret"]
    assert after != before
    assert admin.get("/workspaces/default/webhook-secret").json["secret"] == after
    assert member.post("/workspaces/default/webhook-secret/rotate", {}).status_code == 403
    assert admin.post("/workspaces/none/webhook-secret/rotate", {}).status_code == 404


def test_the_webhook_secret_is_made_once_per_workspace(admin):
    admin.post("/workspaces", {"name": "Other", "id": "other"})
    first = admin.get("/workspaces/default/webhook-secret").json["secret"]
    assert len(base64.b64decode(first.removeprefix("whsec_"))) == 24
    assert admin.get("/workspaces/default/webhook-secret").json["secret"] == first
    assert admin.get("/workspaces/other/webhook-secret").json["secret"] != first
    assert admin.get("/workspaces/none/webhook-secret").status_code == 404


def test_its_settings_are_changed_one_by_one(admin):
    made = admin.post("/workspaces", {"name": "Other", "id": "other"}).json
    assert (made["alert_url"], made["limit_policy"]) == (None, "log")
    changed = admin.patch("/workspaces/other", {"alert_url": "https://example.com/alerts"}).json
    assert (changed["name"], changed["alert_url"]) == ("Other", "https://example.com/alerts")
    changed = admin.patch("/workspaces/other", {"name": "New", "limit_policy": "block"}).json
    assert (changed["name"], changed["limit_policy"]) == ("New", "block")
    assert changed["alert_url"] == "https://example.com/alerts"
    assert admin.patch("/workspaces/other", {"alert_url": None}).json["alert_url"] is None
    assert admin.patch("/workspaces/none", {"name": "New"}).status_code == 404


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"alert_url": "http://127.0.0.1:9/alerts"}, "/alert_url"),
        ({"alert_url": "https://169.254.169.254/latest"}, "/alert_url"),
        ({"limit_policy": "maybe"}, "/limit_policy"),
        ({"managed_agents_max": -1}, "/managed_agents_max"),
        ({"name": None}, "/name"),
        ({"id": "another"}, "/id"),
    ],
)
def test_settings_that_cannot_be_are_refused(admin, body, pointer):
    answer = admin.patch("/workspaces/default", body)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == pointer


def test_its_own_prices(admin):
    price = {"provider": "openai", "model": "FT:ours", "input": 0.1, "output": 0.2}
    (kept,) = admin.put("/workspaces/default/prices", price).json["items"]
    assert {name: kept[name] for name in price} == price
    assert (kept["cache_read"], kept["cache_write"]) == (0.1, 0.1)
    (kept,) = admin.put("/workspaces/default/prices", {**price, "cache_read": 0.05}).json["items"]
    assert kept["cache_read"] == 0.05
    assert admin.get("/workspaces/default/prices").json["items"] == [kept]
    gone = "/workspaces/default/prices?provider=openai&model=ft:ours"
    assert admin.delete(gone).status_code == 204
    assert admin.get("/workspaces/default/prices").json["items"] == []
    assert admin.put("/workspaces/default/prices", {**price, "provider": "grok"}).status_code == 422
    assert admin.put("/workspaces/default/prices", {**price, "input": -1}).status_code == 422
    assert admin.put("/workspaces/none/prices", price).status_code == 404
