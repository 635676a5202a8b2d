"""The workspaces, for admins: which of them the pages are about, and a new one."""

from __future__ import annotations

from flask import Blueprint, Response, g, request

from core.accounts import sessions, workspaces
from core.documents import Workspace
from core.store import pages
from web.access import access
from web.api.workspaces import NewWorkspace
from web.context import db
from web.dashboard.frame import answers
from web.dashboard.settings import forms

views = Blueprint("workspaces", __name__)


@views.get("/workspaces")
@access(admin=True)
def choose() -> Response:
    """All workspaces, to choose from."""
    found, after = workspaces.page(db(), limit=pages.MOST, cursor=request.args.get("cursor"))
    turned = request.args.get("cursor")
    return answers.page("frame/workspaces.html", workspaces=found, after=after, turned=turned)


@views.post("/workspaces")
@access(admin=True)
def turn_to() -> Response:
    """From now on this session is about another workspace."""
    return _in(workspaces.get(db(), request.form.get("workspace_id", "")))


@views.get("/workspaces/new")
@access(admin=True)
def new() -> Response:
    """A form for one."""
    return answers.page("frame/new_workspace.html")


@views.post("/workspaces/new")
@access(admin=True)
def create() -> Response:
    """Make a workspace, and go there: whoever makes one has something to do in it."""
    body = forms.read(NewWorkspace, forms.given(request.form, NewWorkspace))
    return _in(workspaces.make(db(), body.name, body.id))


def _in(workspace: Workspace) -> Response:
    sessions.turn_to(db(), g.session, workspace["_id"])
    return answers.go("/", f"You are in {workspace['name']}.")
