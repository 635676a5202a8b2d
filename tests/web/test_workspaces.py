"""/workspaces."""

from __future__ import annotations

import base64


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


def test_the_webhook_secret_is_made_once_per_workspace(admin):
    admin.post("/workspaces", {"name": "Other", "id": "other"})
    first = admin.get("/workspaces/default/webhook-secret").json["secret"]
    assert len(base64.b64decode(first.removeprefix("whsec_"))) == 24
    assert admin.get("/workspaces/default/webhook-secret").json["secret"] == first
    assert admin.get("/workspaces/other/webhook-secret").json["secret"] != first
    assert admin.get("/workspaces/none/webhook-secret").status_code == 404
