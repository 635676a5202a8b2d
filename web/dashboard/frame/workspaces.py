"""An admin's choice of the workspace that the pages are about."""

from __future__ import annotations

from flask import Blueprint, Response, g, request

from core.accounts import sessions, workspaces
from core.store import pages
from web.access import access
from web.context import db
from web.dashboard.frame import answers

views = Blueprint("workspaces", __name__)


@views.get("/workspaces")
@access(admin=True)
def choose() -> Response:
    """All workspaces, to choose from."""
    found, after = workspaces.page(db(), limit=pages.MOST, cursor=request.args.get("cursor"))
    return answers.page("frame/workspaces.html", workspaces=found, after=after)


@views.post("/workspaces")
@access(admin=True)
def turn_to() -> Response:
    """From now on this session is about another workspace."""
    workspace = workspaces.get(db(), request.form.get("workspace_id", ""))
    sessions.turn_to(db(), g.session, workspace["_id"])
    return answers.go("/", f"You are in {workspace['name']}.")
