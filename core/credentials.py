"""Credentials: a workspace's sealed provider keys, each used by many agents and rotated in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo.database import Database

from core.agent_config import hint
from core.config import Settings
from core.crypto import Sealer, origin, provider_key_context
from core.errors import KeyRequired, NotFound
from core.ids import utcnow
from core.jobs.views import rfc3339
from core.llm import providers
from core.store import pages

Document = dict[str, Any]


def find(db: Database[Document], workspace_id: str, name: str) -> Document | None:
    """The credential of this name, or None."""
    return db.credentials.find_one({"_id": _id(workspace_id, name)})


def get(db: Database[Document], workspace_id: str, name: str) -> Document:
    """Raises `NotFound`."""
    credential = find(db, workspace_id, name)
    if credential is None:
        raise NotFound("no credential of this name")
    return credential


def put(
    db: Database[Document],
    workspace_id: str,
    name: str,
    given: Mapping[str, Any],
    *,
    sealer: Sealer,
    settings: Settings,
) -> tuple[Document, bool]:
    """Set a credential; as it is now, and whether it is new.

    An absent `api_key` keeps the stored one while provider and origin stay the same; otherwise `KeyRequired`.
    """
    stored = find(db, workspace_id, name)
    address = providers.address(given["provider"], given.get("custom_endpoint"), settings)
    now = utcnow()
    changes: Document = {
        "workspace_id": workspace_id,
        "name": name,
        "provider": given["provider"],
        "custom_endpoint": given.get("custom_endpoint"),
        "updated_at": now,
    }
    key = given.get("api_key")
    if key is not None:
        context = provider_key_context(
            workspace_id=workspace_id,
            holder=f"credential:{name}",
            provider=given["provider"],
            base_url=address,
        )
        changes |= {"sealed_key": sealer.seal(key, context), "key_hint": hint(key)}
    elif stored is None or not _same_address(stored, given["provider"], address, settings):
        raise KeyRequired(
            "a credential needs an `api_key`, again when its provider or address changes",
            errors=[{"pointer": "/api_key", "detail": "needed"}],
        )
    matching = {"_id": _id(workspace_id, name)}
    update = {"$set": changes, "$setOnInsert": {"created_at": now}, "$inc": {"revision": 1}}
    db.credentials.update_one(matching, update, upsert=True)
    return get(db, workspace_id, name), stored is None


def page(
    db: Database[Document], workspace_id: str, *, limit: int, cursor: str | None
) -> tuple[list[Document], str | None]:
    """A workspace's credentials, newest first."""
    return pages.page(db.credentials, {"workspace_id": workspace_id}, limit=limit, cursor=cursor)


def delete(db: Database[Document], credential: Document) -> None:
    """Remove a credential; agents that name it are told so at their next call."""
    db.credentials.delete_one({"_id": credential["_id"]})


def public(credential: Document) -> Document:
    """A credential without its key."""
    return {
        **{name: credential.get(name) for name in ("name", "provider", "custom_endpoint", "key_hint")},
        "hasKey": True,
        "created_at": rfc3339(credential["created_at"]),
        "updated_at": rfc3339(credential["updated_at"]),
    }


def _same_address(stored: Document, provider: str, address: str, settings: Settings) -> bool:
    old = providers.address(stored["provider"], stored["custom_endpoint"], settings)
    return bool(stored["provider"] == provider and origin(old) == origin(address))


def _id(workspace_id: str, name: str) -> str:
    return f"{workspace_id}/{name}"
