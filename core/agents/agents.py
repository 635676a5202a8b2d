"""Agents: who is asked, and how. Every change is a compare-and-set on `revision`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import redis
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from core.accounts import keys
from core.agents import agent_config, fields
from core.chat import conversations
from core.clock import rfc3339, utcnow
from core.documents import Agent, LlmConfig, Role, agents_of
from core.errors import Conflict, Forbidden, Invalid, NotFound
from core.ids import new_id
from core.jobs import control
from core.jobs.document import jobs_of
from core.jobs.model import QUEUED
from core.llm import keyring
from core.store import pages
from core.store.free_json import storable
from core.store.repeat import insert_once

Document = dict[str, Any]
Configure = Callable[[str, LlmConfig | None], LlmConfig]
"""Makes the new llm_config, from the agent's id and its stored llm_config: see `agent_config.configured`."""

BY_NAME = "agent:"
TRIES = 20


def create(
    db: Database[Document], workspace_id: str, given: Mapping[str, Any], configure: Configure | None
) -> Agent:
    """Make an agent. Raises `Conflict` when its name is taken, and whatever `configure` raises."""
    agent = born(workspace_id, new_id(), given)
    if configure is not None:
        agent["llm_config"] = configure(agent["_id"], None)
    try:
        insert_once(db.agents, storable(agent))
    except DuplicateKeyError:
        raise _name_taken(agent["name"]) from None
    return agent


def born(workspace_id: str, agent_id: str, given: Mapping[str, Any]) -> Agent:
    """The document of an agent without a provider."""
    now = utcnow()
    agent = {
        "_id": agent_id,
        "workspace_id": workspace_id,
        "name": given["name"],
        **fields.stored(fields.AGENT, given),
        "llm_config": None,
        "revision": 0,
        "created_at": now,
        "updated_at": now,
    }
    return cast(Agent, agent)


def demo(workspace_id: str) -> Agent:
    """The agent of a first try: it answers from the sandbox, without any key."""
    given = {"name": "demo", "description": "Answers from the built-in sandbox provider, not from a model."}
    config = {**agent_config.EMPTY, "provider": "sandbox", "model": "sandbox"}
    return {**born(workspace_id, "demo", given), "llm_config": cast(LlmConfig, config)}


def get(db: Database[Document], workspace_id: str, agent_id: str) -> Agent:
    """The agent of this id. Raises `NotFound`, also when it is another workspace's."""
    agent = agents_of(db).find_one({"_id": agent_id})
    if agent is None or agent["workspace_id"] != workspace_id:
        raise NotFound("no such agent")
    return _read(agent)


def named(db: Database[Document], workspace_id: str, reference: str) -> Agent:
    """The agent that a reference names: an id, or `agent:<name>`. Raises `NotFound`."""
    return get(db, workspace_id, id_of(db, workspace_id, reference))


def id_of(db: Database[Document], workspace_id: str, reference: str) -> str:
    """The id that a reference means: an id, or `agent:<name>`. A name of nobody is an id of nobody."""
    if not reference.startswith(BY_NAME):
        return reference
    called = {"workspace_id": workspace_id, "name": reference.removeprefix(BY_NAME)}
    found = agents_of(db).find_one(called, {"_id": 1})
    return found["_id"] if found else reference


def ready(db: Database[Document], workspace_id: str, agent_id: str) -> Agent:
    """An agent that can be asked. Raises `Invalid` for one that has no provider yet."""
    return checked(get(db, workspace_id, agent_id))


def checked(agent: Agent) -> Agent:
    """The agent, if it can be asked. Raises `Invalid`."""
    if agent["llm_config"] is None:
        raise Invalid("this agent has no provider yet: PUT its llm-config first", code="llm_config_required")
    return agent


def page(
    db: Database[Document],
    workspace_id: str,
    *,
    limit: int,
    cursor: str | None,
    only: Sequence[str] | None = None,
) -> tuple[list[Agent], str | None]:
    """A page of the workspace's agents, newest first; with `only`, those of these ids."""
    wanted: Document = {"workspace_id": workspace_id}
    if only is not None:
        wanted["_id"] = {"$in": list(only)}
    found, after = pages.page(agents_of(db), wanted, limit=limit, cursor=cursor)
    return [_read(agent) for agent in found], after


def of_ids(db: Database[Document], workspace_id: str, ids: Sequence[str]) -> list[Agent]:
    """Those of these agents that are there, by name."""
    if not ids:
        return []
    found = agents_of(db).find({"_id": {"$in": list(ids)}, "workspace_id": workspace_id})
    return sorted(map(_read, found), key=lambda agent: agent["name"])


def check_bound(
    db: Database[Document], workspace_id: str, role: Role, agent_ids: Sequence[str] | None
) -> None:
    """Raises `Invalid` for agents that a key of this role cannot be bound to."""
    wrong, theirs = None, {"workspace_id": workspace_id, "_id": {"$in": list(agent_ids or ())}}
    if role == "agent" and (agent_ids is None or len(agent_ids) != 1):
        wrong = "a key of the role agent is bound to exactly one agent"
    elif role == "admin" and agent_ids is not None:
        wrong = "an admin's key is not bound to agents"
    elif agent_ids is not None and db.agents.count_documents(theirs) != len(set(agent_ids)):
        wrong = "not all of these are agents of this workspace"
    if wrong is not None:
        raise Invalid(wrong, errors=[{"pointer": "/agents", "detail": wrong}])


def change(
    db: Database[Document],
    agent: Agent,
    changes: Mapping[str, Any],
    configure: Configure | None = None,
    *,
    may_loosen: bool = False,
) -> Agent:
    """Set some fields of an agent; with `configure`, its llm_config too. Raises `Conflict`, `NotFound`.

    Raises `Forbidden` when the change takes `limit_policy: block` away, unless it `may_loosen`.
    """
    for _ in range(TRIES):
        if not may_loosen:
            _check_policy(agent, changes)
        new: Document = {**changes, "updated_at": utcnow()}
        if configure is not None:
            new["llm_config"] = configure(agent["_id"], agent["llm_config"])
        try:
            if swap(db, agent, new):
                if configure is not None:
                    keyring.outlive()
                return get(db, agent["workspace_id"], agent["_id"])
        except DuplicateKeyError:
            raise _name_taken(changes["name"]) from None
        agent = get(db, agent["workspace_id"], agent["_id"])
    raise Conflict("this agent is being changed by several requests at once; try again")


def swap(db: Database[Document], agent: Agent, new: Mapping[str, Any]) -> bool:
    """Write `new` unless the agent has changed since it was read. False: it has."""
    unchanged = {"_id": agent["_id"], "revision": agent["revision"]}
    update = {"$set": {name: storable(value) for name, value in new.items()}, "$inc": {"revision": 1}}
    return db.agents.update_one(unchanged, update).matched_count == 1


def clear(db: Database[Document], client: redis.Redis, agent: Agent) -> None:
    """End an agent's keys, cancel its queued jobs, erase its conversations. Safe to repeat.

    Its other jobs and its ledger stay.
    """
    for key in keys.of_agent(db, agent):
        keys.revoke(db, key)
    waiting = {"status": QUEUED, "workspace_id": agent["workspace_id"], "agent_id": agent["_id"]}
    for job in list(jobs_of(db).find(waiting)):
        with contextlib.suppress(Conflict):  # it has ended meanwhile: there is nothing to cancel
            control.cancel(db, client, job)
    conversations.delete_all(db, client, agent["_id"])


def delete(db: Database[Document], agent: Agent) -> None:
    """Remove an agent; `clear` sees to what it had."""
    db.agents.delete_one({"_id": agent["_id"]})
    keyring.outlive()


def public(agent: Agent) -> Document:
    """An agent as the API shows it."""
    return {
        "id": agent["_id"],
        "workspace_id": agent["workspace_id"],
        "name": agent["name"],
        **fields.stored(fields.AGENT, agent),
        "llm_config": agent_config.public(agent["llm_config"]),
        "created_at": rfc3339(agent["created_at"]),
        "updated_at": rfc3339(agent["updated_at"]),
    }


def _read(agent: Agent) -> Agent:
    """The agent as this version knows it: a field that an earlier version did not write has its default."""
    config = agent["llm_config"]
    config = config and {**agent_config.EMPTY, **config}
    return cast(Agent, {**fields.stored(fields.AGENT, {}), **agent, "llm_config": config})


def _check_policy(agent: Agent, changes: Mapping[str, Any]) -> None:
    if agent["limit_policy"] == "block" and changes.get("limit_policy", "block") != "block":
        raise Forbidden("only an admin may take `limit_policy: block` away from an agent")


def _name_taken(name: str) -> Conflict:
    return Conflict(f"this workspace has an agent named {name!r} already", code="name_taken")
