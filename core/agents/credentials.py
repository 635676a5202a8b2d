"""Credentials: a workspace's sealed provider keys, each used by many agents and rotated in one place."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, cast

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from core.agents.agent_config import hint
from core.clock import rfc3339, utcnow
from core.config import Settings
from core.crypto import Sealer, origin, provider_key_context
from core.documents import Credential, credentials_of
from core.errors import Conflict, Invalid, KeyRequired, NotFound
from core.llm import keyring, providers
from core.llm.providers import SANDBOX
from core.outbound.guard import Guard
from core.store import pages
from core.store.repeat import insert_once

Document = dict[str, Any]

TRIES = 20


def find(db: Database[Document], workspace_id: str, name: str) -> Credential | None:
    """The credential of this name, or None."""
    return credentials_of(db).find_one({"_id": _id(workspace_id, name)})


def get(db: Database[Document], workspace_id: str, name: str) -> Credential:
    """The credential of this name. Raises `NotFound`."""
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
) -> tuple[Credential, bool]:
    """Make or change a credential. Returns it, and whether it is new.

    Without `api_key` the stored key stays while provider and origin stay the same. Otherwise this raises
    `KeyRequired`.
    """
    for _ in range(TRIES):
        stored = find(db, workspace_id, name)
        changes = _changes(stored, workspace_id, name, given, sealer, settings)
        if stored is None:
            made = {"_id": _id(workspace_id, name), "revision": 0, "created_at": changes["updated_at"]}
            new = cast(Credential, made | changes)
            with contextlib.suppress(DuplicateKeyError):  # another request has just made it: look again
                insert_once(credentials_of(db), new)
                return new, True
        elif swap(db, stored, changes):
            keyring.outlive()
            return get(db, workspace_id, name), False
    raise Conflict("this credential is being changed by several requests at once; try again")


def _changes(
    stored: Credential | None,
    workspace_id: str,
    name: str,
    given: Mapping[str, Any],
    sealer: Sealer,
    settings: Settings,
) -> Document:
    provider, endpoint, key = given["provider"], given.get("custom_endpoint"), given.get("api_key")
    if provider == SANDBOX:
        raise Invalid("the sandbox takes no key", errors=[{"pointer": "/provider", "detail": "not this one"}])
    if endpoint is not None:
        Guard(settings.custom_endpoint_allow).check_url(endpoint)
        providers.check_endpoint(provider, endpoint)
    address = providers.address(provider, endpoint, settings)
    changes: Document = {
        "workspace_id": workspace_id,
        "name": name,
        "provider": provider,
        "custom_endpoint": endpoint,
        "updated_at": utcnow(),
    }
    if key is not None:
        context = provider_key_context(
            workspace_id=workspace_id, holder=f"credential:{name}", provider=provider, base_url=address
        )
        return changes | {"sealed_key": sealer.seal(key, context), "key_hint": hint(key)}
    if stored is None or not _same_address(stored, provider, address, settings):
        raise KeyRequired(
            "a credential needs an `api_key`, again when its provider or address changes",
            errors=[{"pointer": "/api_key", "detail": "needed"}],
        )
    return changes


def swap(db: Database[Document], credential: Credential, new: Mapping[str, Any]) -> bool:
    """Write `new` unless the credential has changed since it was read. False: it has."""
    unchanged = {"_id": credential["_id"], "revision": credential["revision"]}
    update = {"$set": dict(new), "$inc": {"revision": 1}}
    return db.credentials.update_one(unchanged, update).matched_count == 1


def page(
    db: Database[Document], workspace_id: str, *, limit: int, cursor: str | None
) -> tuple[list[Credential], str | None]:
    """A page of the workspace's credentials, newest first."""
    return pages.page(credentials_of(db), {"workspace_id": workspace_id}, limit=limit, cursor=cursor)


def users(db: Database[Document], workspace_id: str) -> dict[str, list[tuple[str, str]]]:
    """By name of the credential: id and name of each agent that uses it."""
    using = {"workspace_id": workspace_id, "llm_config.credential": {"$ne": None}}
    found: dict[str, list[tuple[str, str]]] = {}
    for agent in db.agents.find(using, {"name": 1, "llm_config.credential": 1}).sort("name", 1):
        found.setdefault(agent["llm_config"]["credential"], []).append((agent["_id"], agent["name"]))
    return found


def delete(db: Database[Document], credential: Credential) -> None:
    """Remove a credential. The next call of an agent that names it is refused, and says why."""
    db.credentials.delete_one({"_id": credential["_id"]})
    keyring.outlive()


def public(credential: Credential) -> Document:
    """A credential without its key."""
    return {
        **{name: credential.get(name) for name in ("name", "provider", "custom_endpoint", "key_hint")},
        "hasKey": True,
        "created_at": rfc3339(credential["created_at"]),
        "updated_at": rfc3339(credential["updated_at"]),
    }


def _same_address(stored: Credential, provider: str, address: str, settings: Settings) -> bool:
    old = providers.address(stored["provider"], stored["custom_endpoint"], settings)
    return bool(stored["provider"] == provider and origin(old) == origin(address))


def _id(workspace_id: str, name: str) -> str:
    return f"{workspace_id}/{name}"
