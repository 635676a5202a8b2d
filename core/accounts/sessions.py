"""Sessions: a browser's cookie stands for an API key. The store has its SHA-256, never the key."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any

from pymongo.database import Database

from core.accounts import keys
from core.clock import utcnow
from core.documents import Key, Session, sessions_of
from core.errors import Unauthorized
from core.store.repeat import insert_once

Document = dict[str, Any]

KEPT = timedelta(days=14)
LINK_KEPT = timedelta(hours=1)


def begin(db: Database[Document], key: Key) -> str:
    """Sign in with a key. Returns the text of the cookie. Raises `Unauthorized` for a key of a program."""
    _check_may(key)
    return _born(db, key["_id"], key["workspace_id"], KEPT, link=False)


def find(db: Database[Document], text: str, now: datetime) -> tuple[Session, keys.Caller]:
    """Whose session this is, with what its key allows now.

    Raises `Unauthorized` when it has ended, or its key was revoked, has expired or was bound to agents.
    """
    session = sessions_of(db).find_one({"_id": _id(text)})
    if session is None or session["link"] or now >= session["expires_at"]:
        raise Unauthorized("you are signed out")
    key = keys.living(db, session["key_id"], now)
    _check_may(key)
    return session, keys.caller_of(key)


def end(db: Database[Document], text: str) -> None:
    """Sign out. Safe to repeat."""
    db.sessions.delete_one({"_id": _id(text)})


def turn_to(db: Database[Document], session: Session, workspace_id: str) -> None:
    """From now on the session is about this workspace; whether it may be is the caller's to check."""
    db.sessions.update_one({"_id": session["_id"]}, {"$set": {"workspace_id": workspace_id}})


def make_link(db: Database[Document], key: Key) -> str:
    """A code that signs in once, within `LINK_KEPT`, with this key."""
    return _born(db, key["_id"], key["workspace_id"], LINK_KEPT, link=True)


def redeem(db: Database[Document], code: str, now: datetime) -> Key:
    """The key of a code that was not used; of two who use it at once one gets it. Raises `Unauthorized`."""
    link = sessions_of(db).find_one({"_id": _id(code)})
    if link is None or not link["link"] or now >= link["expires_at"]:
        raise Unauthorized("this link was used, or is too old; sign in with a key")
    if db.sessions.delete_one({"_id": link["_id"]}).deleted_count != 1:
        raise Unauthorized("this link was used; sign in with a key")
    return keys.living(db, link["key_id"], now)


def _check_may(key: Key) -> None:
    """May it have a session? Raises `Unauthorized`: the pages are about the whole workspace."""
    if key["role"] in ("agent", "runtime") or key.get("agents") is not None:
        raise Unauthorized("this key is bound to agents; sign in with one of the whole workspace")


def _born(db: Database[Document], key_id: str, workspace_id: str, kept: timedelta, *, link: bool) -> str:
    text, now = secrets.token_urlsafe(32), utcnow()
    session: Session = {
        "_id": _id(text),
        "key_id": key_id,
        "workspace_id": workspace_id,
        "link": link,
        "created_at": now,
        "expires_at": now + kept,
    }
    insert_once(sessions_of(db), session)
    return text


def _id(text: str) -> str:
    return hashlib.sha256(b"vutler session " + text.encode()).hexdigest()
