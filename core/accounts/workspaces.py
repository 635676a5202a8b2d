"""Workspaces: who owns what. There is always one called `default`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from core.clock import rfc3339, utcnow
from core.errors import Conflict, NotFound
from core.ids import new_id
from core.store import pages
from core.store.repeat import insert_once

Document = dict[str, Any]

DEFAULT = "default"
EVERYWHERE = {"all": True}


def make(db: Database[Document], name: str, workspace_id: str | None = None) -> Document:
    """Raises `Conflict` when the id is taken."""
    workspace = {"_id": workspace_id or new_id(), "name": name, "created_at": utcnow(), **EVERYWHERE}
    try:
        insert_once(db.workspaces, workspace)
    except DuplicateKeyError:
        raise Conflict(f"there is a workspace {workspace_id} already") from None
    return workspace


def get(db: Database[Document], workspace_id: str) -> Document:
    """Raises `NotFound`."""
    workspace = db.workspaces.find_one({"_id": workspace_id})
    if workspace is None:
        raise NotFound("no such workspace")
    return workspace


def change(db: Database[Document], workspace: Document, changes: Mapping[str, Any]) -> Document:
    """Set some of `name`, `alert_url`, `limit_policy`."""
    if changes:
        db.workspaces.update_one({"_id": workspace["_id"]}, {"$set": dict(changes)})
    return get(db, workspace["_id"])


def page(db: Database[Document], *, limit: int, cursor: str | None) -> tuple[list[Document], str | None]:
    """All workspaces, newest first."""
    return pages.page(db.workspaces, EVERYWHERE, limit=limit, cursor=cursor)


def public(workspace: Document) -> Document:
    """A workspace as the API shows it."""
    return {
        "id": workspace["_id"],
        "name": workspace["name"],
        "alert_url": workspace.get("alert_url"),
        "limit_policy": workspace.get("limit_policy") or "log",
        "created_at": rfc3339(workspace["created_at"]),
    }
