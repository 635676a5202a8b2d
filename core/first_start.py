"""The first start: an admin key, the workspace `default` and its demo agent. Safe to repeat, and to race."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from core import encryption_keys
from core.accounts import keys, workspaces
from core.accounts.workspaces import DEFAULT
from core.agents import agents
from core.clock import utcnow
from core.config import Settings
from core.documents import keys_of
from core.private_files import NotPrivate, made_once, read_private
from core.store.repeat import insert_once

Document = dict[str, Any]

KEY_FILE = "admin.key"
SHORTEST_KEY = 16

log = structlog.get_logger(__name__)


class BadAdminKey(Exception):
    """The admin key is too short to be safe, or not private; the text says what to do."""


def ensure(db: Database[Document], settings: Settings) -> None:
    """Make what every installation has, unless it is there. Raises `BadAdminKey`."""
    ensure_admin(db, settings)
    ensure_default_workspace(db)


def ensure_admin(db: Database[Document], settings: Settings) -> None:
    """Enter the admin key of the environment, or else the one that is kept beside the data.

    When the environment gives another key than before, the earlier one ends.
    """
    if settings.admin_api_key is not None:
        check_admin_key(settings)
        _enter(db, settings.admin_api_key.get_secret_value(), "environment")
    elif (settings.data_dir / KEY_FILE).exists() or not _has_admin(db):
        text, made = local_key(settings.data_dir)
        if made:
            announce(text, settings.data_dir / KEY_FILE)
        _enter(db, text, "file")


def check_admin_key(settings: Settings) -> None:
    """Raises `BadAdminKey`: its file is not private, or it could be guessed, in production."""
    key = settings.admin_api_key
    if key is None and (settings.data_dir / KEY_FILE).exists():
        local_key(settings.data_dir)
    if key is not None and settings.production and len(key.get_secret_value()) < SHORTEST_KEY:
        raise BadAdminKey(f"ADMIN_API_KEY needs {SHORTEST_KEY} characters (openssl rand -hex 32)")


def weak_secrets(settings: Settings) -> list[str]:
    """What production would refuse, a line each, to be said at the start."""
    found, admin, sealing = [], settings.admin_api_key, settings.llm_encryption_key
    if admin is not None and len(admin.get_secret_value()) < SHORTEST_KEY:
        found.append(f"ADMIN_API_KEY could be guessed: make one of {SHORTEST_KEY} characters or more")
    if sealing is not None and encryption_keys.is_text(sealing.get_secret_value()):
        found.append(f"LLM_ENCRYPTION_KEY could be guessed: make one of {encryption_keys.WANTED}")
    return found


def local_key(data_dir: Path) -> tuple[str, bool]:
    """The admin key in `DATA_DIR/admin.key`, and whether this call made it. Raises `BadAdminKey`."""
    path = data_dir / KEY_FILE
    made = made_once(path, keys.PREFIX + secrets.token_urlsafe(32))
    try:
        return read_private(path), made
    except NotPrivate as error:
        raise BadAdminKey(str(error)) from None


def announce(text: str, path: Path, write: Callable[[str], object] = print) -> None:
    """Show a new key once: on a terminal the key itself, in anything that may be kept only its place."""
    write(f"An admin key was made: {text if sys.stdout.isatty() else f'it is in {path}'}")


def ensure_default_workspace(db: Database[Document]) -> None:
    """The workspace `default`; when it is first made, with the agent `demo`, which needs no provider key."""
    if db.workspaces.find_one({"_id": DEFAULT}) is not None:
        return
    demo, workspace = dict(agents.demo(DEFAULT)), dict(workspaces.born(DEFAULT, "Default"))
    for collection, document in ((db.agents, demo), (db.workspaces, workspace)):
        try:
            insert_once(collection, document)
        except DuplicateKeyError:
            log.debug("first.another_process_was_first", made=document["_id"])


def _enter(db: Database[Document], text: str, source: str) -> None:
    key = keys.born(text, role="admin", workspace_id=DEFAULT, name=source, created_by=source, limits={})
    try:
        insert_once(keys_of(db), key)
    except DuplicateKeyError:
        db["keys"].update_one({"_id": key["_id"]}, {"$set": {"revoked_at": None}})
    if source == "environment":
        earlier = {"workspace_id": DEFAULT, "created_by": source, "_id": {"$ne": key["_id"]}}
        db["keys"].update_many({**earlier, "revoked_at": None}, {"$set": {"revoked_at": utcnow()}})


def _has_admin(db: Database[Document]) -> bool:
    return any(keys.alive(key, utcnow()) for key in keys_of(db).find({"role": "admin"}))
