"""Workspaces, and the secret that signs their callbacks. For admins."""

from __future__ import annotations

from typing import Annotated

from flask import Response
from pydantic import BaseModel, StringConstraints

from core import callbacks
from core.accounts import workspaces
from web.access import access
from web.answers import answer, listed
from web.api.models import Name
from web.context import db, services
from web.resource import Id, Model, PageQuery, example, resource

api = resource("workspaces", "Who owns what")


class NewWorkspace(Model):
    model_config = example(name="Research", id="research")
    name: Name
    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")] | None = None


class WorkspacePath(BaseModel):
    workspace_id: Id


@api.post("/workspaces", responses={"201": {"description": "The workspace"}})
@access(admin=True)
def create_workspace(body: NewWorkspace) -> Response:
    """Make a workspace."""
    return answer(workspaces.public(workspaces.make(db(), body.name, body.id)), 201)


@api.get("/workspaces", responses={"200": {"description": "A page of workspaces, newest first"}})
@access(admin=True)
def list_workspaces(query: PageQuery) -> Response:
    """All workspaces."""
    items, cursor = workspaces.page(db(), limit=query.limit, cursor=query.cursor)
    return listed(map(workspaces.public, items), cursor)


@api.get("/workspaces/<workspace_id>/webhook-secret", responses={"200": {"description": "The secret"}})
@access(admin=True)
def get_webhook_secret(path: WorkspacePath) -> Response:
    """What a receiver of callbacks verifies them with (Standard Webhooks)."""
    workspace = workspaces.get(db(), path.workspace_id)
    return answer({"secret": callbacks.webhook_secret(db(), services().sealer, workspace["_id"])})
