"""Workspaces: who owns what. There is always one called `default`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from core.clock import rfc3339, utcnow
from core.documents import Workspace, workspaces_of
from core.errors import Conflict, NotFound
from core.ids import new_id
from core.store import pages
from core.store.repeat import insert_once

Document = dict[str, Any]

DEFAULT = "default"


def make(db: Database[Document], name: str, workspace_id: str | None = None) -> Workspace:
    """Make a workspace. Raises `Conflict` when the id is taken."""
    workspace = born(workspace_id or new_id(), name)
    try:
        insert_once(workspaces_of(db), workspace)
    except DuplicateKeyError:
        raise Conflict(f"there is a workspace {workspace_id} already") from None
    return workspace


def born(workspace_id: str, name: str) -> Workspace:
    """The document of a new workspace."""
    return {"_id": workspace_id, "name": name, "created_at": utcnow(), "all": True}


def get(db: Database[Document], workspace_id: str) -> Workspace:
    """The workspace of this id. Raises `NotFound`."""
    workspace = workspaces_of(db).find_one({"_id": workspace_id})
    if workspace is None:
        raise NotFound("no such workspace")
    return workspace


def change(db: Database[Document], workspace: Workspace, changes: Mapping[str, Any]) -> Workspace:
    """Set some of `name`, `alert_url`, `limit_policy`, `max_running`, `managed_agents_max`."""
    if changes:
        db.workspaces.update_one({"_id": workspace["_id"]}, {"$set": dict(changes)})
    return get(db, workspace["_id"])


def page(db: Database[Document], *, limit: int, cursor: str | None) -> tuple[list[Workspace], str | None]:
    """A page of all workspaces, newest first."""
    return pages.page(workspaces_of(db), {"all": True}, limit=limit, cursor=cursor)


def names(db: Database[Document], ids: Iterable[str]) -> dict[str, str]:
    """What these workspaces are called, by id."""
    return {found["_id"]: found["name"] for found in workspaces_of(db).find({"_id": {"$in": list(ids)}})}


def public(workspace: Workspace) -> Document:
    """A workspace as the API shows it."""
    return {
        "id": workspace["_id"],
        "name": workspace["name"],
        "alert_url": workspace.get("alert_url"),
        "limit_policy": workspace.get("limit_policy") or "log",
        "max_running": workspace.get("max_running"),
        "managed_agents_max": workspace.get("managed_agents_max"),
        "created_at": rfc3339(workspace["created_at"]),
    }
