"""Settings: what holds for the workspace, and the audit log. Keys and webhooks have files of their own."""

from __future__ import annotations

from flask import Blueprint, Response, request

from core import audit_log
from core.accounts import workspaces
from core.agents import agents
from core.documents import keys_of
from core.runtime import instance_keys
from core.store.pages import DEFAULT_LIMIT
from web.access import access
from web.api.workspaces import WorkspaceChanges, changed
from web.context import db, workspace_id
from web.dashboard.frame import answers
from web.dashboard.settings import forms, of_keys, webhooks

views = Blueprint("settings", __name__)
views.register_blueprint(of_keys.views)
views.register_blueprint(webhooks.views)


@views.get("/settings/workspace")
def workspace() -> Response:
    """What holds for the whole workspace."""
    found = workspaces.get(db(), workspace_id())
    return answers.page("settings/workspace.html", workspace=workspaces.public(found))


@views.post("/settings/workspace")
@access(admin=True)
def change_workspace() -> Response:
    """Set it."""
    given = forms.given(request.form, WorkspaceChanges, without=frozenset({"name"}))
    changed(workspace_id(), forms.read(WorkspaceChanges, given))
    return answers.go("/settings/workspace", "It is saved.")


@views.get("/settings/audit-log")
@access(admin=True)
def log() -> Response:
    """Who did what, when, from where."""
    cursor = request.args.get("cursor")
    found, after = audit_log.page(db(), workspace_id(), limit=DEFAULT_LIMIT, cursor=cursor, since=None)
    ids = sorted({entry["key_id"] for entry in found if entry.get("key_id")})
    # Of an admin's key too, which may belong to another workspace.
    found_keys = keys_of(db()).find({"_id": {"$in": ids}})
    names = {key["_id"]: key["name"] or f"{key['role']} …{key['hint']}" for key in found_keys}
    whose = {key_id: agent_id for key_id in ids if (agent_id := instance_keys.agent_of(key_id))}
    asked = {entry["target"]["agent_id"] for entry in found if "agent_id" in (entry.get("target") or {})}
    known = agents.of_ids(db(), workspace_id(), sorted({*whose.values(), *asked}))
    called = {agent["_id"]: agent["name"] for agent in known}
    names |= {key_id: f"process of {called.get(agent_id, 'an agent')}" for key_id, agent_id in whose.items()}
    return answers.page(
        "settings/audit_log.html", entries=found, after=after, names=names, agents=called, turned=cursor
    )
