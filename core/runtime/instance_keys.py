"""The key of an instance: it speaks as its agent through our own door, and dies with its process."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from bson.decimal128 import Decimal128
from pymongo.database import Database

from core.accounts import keys
from core.accounts.keys import PREFIX, Caller
from core.clock import utcnow
from core.documents import Key, Role, keys_of
from core.metering import new_budget
from core.metering.budget import Budget, of_key
from core.store.repeat import insert_once

Document = dict[str, Any]

ROLE: Role = "runtime"


def counts_as(agent_id: str) -> str:
    """What all keys of an agent's instances are counted as: a budget outlives each of them."""
    return f"runtime:{agent_id}"


def agent_of(key_id: str) -> str | None:
    """The agent whose process is counted as this key; None: it is nobody's process."""
    name, _, agent_id = key_id.partition(":")
    return agent_id if name == ROLE and agent_id else None


def make(db: Database[Document], agent: Mapping[str, Any], instance: str) -> str:
    """The text of a new key. Whatever key the agent's process had before has ended."""
    end(db, agent["workspace_id"], agent["_id"])
    text = PREFIX + secrets.token_urlsafe(32)
    key = keys.born(
        text,
        role=ROLE,
        workspace_id=agent["workspace_id"],
        name=str(agent["name"]),
        agents=[agent["_id"]],
        limits=limits(agent),
        created_by=ROLE,
    )
    insert_once(db["keys"], {**key, "counts_as": counts_as(agent["_id"]), "instance": instance})
    return text


def limits(agent: Mapping[str, Any]) -> Document:
    """The budget of an agent's process, as a key has it."""
    usd = agent["runtime_budget_usd"]
    return {} if usd is None else {"budget_usd": usd, "budget_period": agent["runtime_budget_period"]}


def budget(agent: Mapping[str, Any], now: datetime) -> Budget | None:
    """The budget of an agent's process for the period of now; None: it has none."""
    if agent["runtime_budget_usd"] is None:
        return None
    caller = Caller(
        key_id=counts_as(agent["_id"]),
        role=ROLE,
        workspace_id=agent["workspace_id"],
        budget_usd=Decimal128(str(agent["runtime_budget_usd"])),
        budget_period=agent["runtime_budget_period"],
    )
    return of_key(caller, now)


def limit(db: Database[Document], agent: Mapping[str, Any]) -> None:
    """Give the key of a process that runs, if there is one, the budget that its agent has now."""
    new: Document = keys.stored({"budget_usd": None, "budget_period": None, **limits(agent)})
    for key in keys_of(db).find(_of(agent["workspace_id"], agent["_id"])):
        if db["keys"].update_one({"_id": key["_id"]}, {"$set": new}).matched_count == 1:
            new_budget.hold(db, key, cast(Key, {**key, **new}), utcnow())


def end(db: Database[Document], workspace_id: str, agent_id: str) -> None:
    """Nothing can be done with them any more. Their doings stay in the ledger."""
    db["keys"].delete_many(_of(workspace_id, agent_id))


def _of(workspace_id: str, agent_id: str) -> Document:
    return {"workspace_id": workspace_id, "role": ROLE, "agents": agent_id}
