"""API keys: 256 random bits, shown once. The store has their SHA-256, and what they may do."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bson.decimal128 import Decimal128
from pymongo.database import Database

from core.accounts.workspaces import DEFAULT
from core.clock import rfc3339, utcnow
from core.documents import Agent, BudgetPeriod, Key, Role, keys_of
from core.errors import Conflict, NotFound, Unauthorized
from core.store import pages
from core.store.remembered import Remembered
from core.store.repeat import insert_once

Document = dict[str, Any]

PREFIX = "vtl_"
MAY: dict[Role, tuple[str, ...]] = {
    "admin": ("read", "write", "administer"),
    "member": ("read", "write"),
    "viewer": ("read",),
    "agent": ("chat",),
    "runtime": ("chat",),
}
"""What a role may do, in words; `web.access` decides, route by route."""
OWN_JOBS_ALONE: frozenset[Role] = frozenset({"agent", "runtime"})
LIMITS = ("rpm", "tpm", "budget_usd", "budget_period", "max_running")


@dataclass(frozen=True)
class Caller:
    """Who makes a request. `agents`: the only agents that the key may touch; None: all of its workspace.

    `key_id`: the id that limits and budgets count under. A key that replaced another has that one's.
    `limited`: the key has limits or an end, or is bound to some agents.
    """

    key_id: str
    role: Role
    workspace_id: str
    agents: tuple[str, ...] | None = None
    rpm: int | None = None
    tpm: int | None = None
    budget_usd: Decimal128 | None = None
    budget_period: BudgetPeriod | None = None
    limited: bool = False

    def may_touch(self, agent_id: str | None) -> bool:
        return self.agents is None or agent_id in self.agents

    def may_see(self, job: Mapping[str, Any]) -> bool:
        """May it read this job? An agent's key: only those that it made itself, or a key that it replaced."""
        if self.role in OWN_JOBS_ALONE and job["created_by"] != self.key_id:
            return False
        return self.may_touch(job["agent_id"])


def authenticate(db: Database[Document], text: str, now: datetime, known: Remembered | None = None) -> Caller:
    """Who comes with this text. Raises `Unauthorized` when its key is unknown, revoked or expired.

    `known`: where keys are remembered, by a process that is told when one changes.
    """
    return caller_of(of_text(db, text, now, known))


def of_text(db: Database[Document], text: str, now: datetime, known: Remembered | None = None) -> Key:
    """The key that this is the text of. Raises `Unauthorized` as `authenticate` does."""
    key = living(db, _id(text), now, known)
    if not secrets.compare_digest(key["hash"], _hash(text)):
        raise Unauthorized("this API key is not valid")
    return key


def living(db: Database[Document], key_id: str, now: datetime, known: Remembered | None = None) -> Key:
    """The key of this id. Raises `Unauthorized` when it is unknown, revoked or expired."""
    key = (known or Remembered()).get(("key", key_id), lambda: keys_of(db).find_one({"_id": key_id}))
    if key is None or not alive(key, now):
        raise Unauthorized("this API key is not valid")
    return key


def caller_of(key: Key) -> Caller:
    """Who comes with this key, and what it allows."""
    agents = key.get("agents")
    return Caller(
        key_id=key.get("counts_as") or key["_id"],
        role=key["role"],
        workspace_id=key["workspace_id"],
        agents=tuple(agents) if agents is not None else None,
        rpm=key.get("rpm"),
        tpm=key.get("tpm"),
        budget_usd=key.get("budget_usd"),
        budget_period=key.get("budget_period"),
        limited=any(key.get(name) is not None for name in ("agents", "expires_at", *LIMITS)),
    )


def alive(key: Key, now: datetime) -> bool:
    """Is the key neither revoked nor expired? Either may lie ahead: a rotation with a grace revokes later."""
    ends = (at for at in (key["expires_at"], key["revoked_at"]) if at is not None)
    return all(now < at for at in ends)


def make(
    db: Database[Document],
    *,
    role: Role,
    workspace_id: str = DEFAULT,
    name: str = "",
    agents: list[str] | None = None,
    expires_at: datetime | None = None,
    limits: Mapping[str, Any] | None = None,
    created_by: str,
    counts_as: str | None = None,
) -> tuple[Key, str]:
    """Make a key. Returns it, and its text, which nobody can read again."""
    text = PREFIX + secrets.token_urlsafe(32)
    key = born(
        text,
        role=role,
        workspace_id=workspace_id,
        name=name,
        agents=agents,
        expires_at=expires_at,
        limits=limits or {},
        created_by=created_by,
    )
    if counts_as is not None:
        key["counts_as"] = counts_as
    insert_once(keys_of(db), key)
    return key, text


def born(
    text: str,
    *,
    role: Role,
    workspace_id: str,
    name: str,
    created_by: str,
    agents: list[str] | None = None,
    expires_at: datetime | None = None,
    limits: Mapping[str, Any],
) -> Key:
    """The document of a key."""
    return {
        "_id": _id(text),
        "hash": _hash(text),
        "hint": text[-4:] if len(text) >= 16 else "",
        "name": name,
        "role": role,
        "workspace_id": workspace_id,
        "agents": agents,
        "expires_at": expires_at,
        "revoked_at": None,
        "created_at": utcnow(),
        "created_by": created_by,
        "rpm": limits.get("rpm"),
        "tpm": limits.get("tpm"),
        "budget_usd": _exact(limits.get("budget_usd")),
        "budget_period": limits.get("budget_period"),
        "max_running": limits.get("max_running"),
    }


def get(db: Database[Document], workspace_id: str, key_id: str) -> Key:
    """The key of this id. Raises `NotFound`, also when it is another workspace's."""
    key = keys_of(db).find_one({"_id": key_id})
    if key is None or key["workspace_id"] != workspace_id:
        raise NotFound("no such key")
    return key


def page(
    db: Database[Document], workspace_id: str, *, limit: int, cursor: str | None
) -> tuple[list[Key], str | None]:
    """A page of the workspace's keys, newest first, those that have ended too."""
    return pages.page(keys_of(db), {"workspace_id": workspace_id}, limit=limit, cursor=cursor)


def of_ids(db: Database[Document], workspace_id: str, ids: Sequence[str]) -> list[Key]:
    """Those of these keys that are the workspace's, ended ones too."""
    return list(keys_of(db).find({"workspace_id": workspace_id, "_id": {"$in": list(ids)}}))


def change(db: Database[Document], key: Key, changes: Mapping[str, Any]) -> Key:
    """Change what a key may do, or until when. Raises `NotFound` for one that has gone meanwhile."""
    if changes:
        db["keys"].update_one({"_id": key["_id"]}, {"$set": stored(changes)})
    return get(db, key["workspace_id"], key["_id"])


def stored(changes: Mapping[str, Any]) -> Document:
    """Changes of a key, as the store has them."""
    return {name: _exact(value) if name == "budget_usd" else value for name, value in changes.items()}


def revoke(db: Database[Document], key: Key, grace: timedelta = timedelta()) -> None:
    """End a key now, or after `grace`. A key that ends earlier keeps its end."""
    end = utcnow() + grace
    if key["revoked_at"] is None or key["revoked_at"] > end:
        db["keys"].update_one({"_id": key["_id"]}, {"$set": {"revoked_at": end}})


def rotate(db: Database[Document], key: Key, *, grace: timedelta, created_by: str) -> tuple[Key, str]:
    """A new key in place of this one, which ends after `grace`: the same role, limits and end, and it counts
    under the same id. Raises `Conflict` for a key that has ended, or is rotated by another request just now.
    """
    now = utcnow()
    if not alive(key, now) or key["revoked_at"] is not None:
        raise Conflict("this key has ended, or ends soon: make a new one")
    new, text = make(
        db,
        role=key["role"],
        workspace_id=key["workspace_id"],
        name=key["name"],
        agents=key["agents"],
        expires_at=key["expires_at"],
        limits={limit: key.get(limit) for limit in LIMITS},
        created_by=created_by,
        counts_as=key.get("counts_as") or key["_id"],
    )
    ending = {"_id": key["_id"], "revoked_at": None}
    if db["keys"].update_one(ending, {"$set": {"revoked_at": now + grace}}).matched_count != 1:
        revoke(db, new)
        raise Conflict("this key was rotated by another request at the same time")
    return new, text


def rotate_for_agent(
    db: Database[Document], agent: Agent, *, grace: timedelta, created_by: str
) -> tuple[Key, str]:
    """Give an agent a new key. Its earlier keys end after `grace`, also those in an earlier grace.

    The new key has the limits and the end of the last one, and counts under the same id, even if the last one
    was revoked. Raises `Conflict` when the last one has expired. Of two requests that rotate at the same time
    one raises `Conflict`; the key of the other stays.
    """
    earlier = of_agent(db, agent)
    last = max(earlier, key=_order, default=None)
    ends = last["expires_at"] if last else None
    if ends is not None and ends <= utcnow():
        raise Conflict("this agent's key has expired: an admin makes a new one")
    key, text = make(
        db,
        role="agent",
        workspace_id=agent["workspace_id"],
        name=(last["name"] if last else "") or agent["name"],
        agents=[agent["_id"]],
        expires_at=ends,
        limits={limit: last.get(limit) for limit in LIMITS} if last else None,
        created_by=created_by,
        counts_as=(last.get("counts_as") or last["_id"]) if last else None,
    )
    for other in of_agent(db, agent):
        if _order(other) < _order(key):
            revoke(db, other, grace)
        elif other["_id"] != key["_id"]:
            revoke(db, key)
            raise Conflict("this agent's key was rotated by another request at the same time")
    return key, text


def of_agent(db: Database[Document], agent: Agent) -> list[Key]:
    """The keys that are bound to this agent alone, those that have ended too."""
    bound = {"workspace_id": agent["workspace_id"], "role": "agent", "agents": agent["_id"]}
    return list(keys_of(db).find(bound))


def _order(key: Key) -> tuple[datetime, str]:
    return key["created_at"], key["_id"]


def public(key: Key) -> Document:
    """A key as the API shows it, without its text."""
    shown = ("name", "role", "workspace_id", "agents", *LIMITS)
    return {
        "id": key["_id"],
        "key_hint": key["hint"],
        **{name: key.get(name) for name in shown},
        "budget_usd": float(key["budget_usd"].to_decimal()) if key["budget_usd"] is not None else None,
        "expires_at": rfc3339(key["expires_at"]),
        "revoked_at": rfc3339(key["revoked_at"]),
        "created_at": rfc3339(key["created_at"]),
    }


def _exact(usd: float | Decimal128 | None) -> Decimal128 | None:
    """The decimal that the client wrote, not the float that JSON made of it."""
    return None if usd is None else Decimal128(str(usd))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _id(text: str) -> str:
    """Made of the text: one read by `_id` finds a key, and a key that is entered twice is one document."""
    return "key_" + hashlib.sha256(b"vutler key " + text.encode()).hexdigest()[:24]
