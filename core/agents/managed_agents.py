"""Managed agents: how many of its agents a workspace lets call with the operator's keys. An admin says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo.database import Database

from core.clock import utcnow
from core.documents import agents_of, workspaces_of
from core.errors import Conflict

Document = dict[str, Any]


def check_room(
    db: Database[Document],
    workspace_id: str,
    agent_id: str,
    stored: Mapping[str, Any] | None,
    new: Mapping[str, Any],
) -> None:
    """Raises `Conflict` for a configuration that makes one managed agent more than there may be.

    One that has used its allowance this month counts to the end of it, even if it is gone since: otherwise
    each agent that takes the place of another would bring a new allowance.
    """
    if not uses_managed(new) or (stored is not None and uses_managed(stored)):
        return
    workspace = workspaces_of(db).find_one({"_id": workspace_id})
    most = None if workspace is None else workspace.get("managed_agents_max")
    if most is not None and len(_counted(db, workspace_id) - {agent_id}) >= most:
        raise Conflict(
            f"this workspace may have {most} managed agents this month, and has them: an admin may raise its "
            "`managed_agents_max`",
            code="managed_agents_max",
        )


def uses_managed(config: Mapping[str, Any]) -> bool:
    """May an agent with this llm_config be answered with the operator's keys?"""
    return bool(config["managed"] or config["allow_managed_fallback"])


def _counted(db: Database[Document], workspace_id: str) -> set[str]:
    shown = {"llm_config.managed": 1, "llm_config.allow_managed_fallback": 1}
    agents = agents_of(db).find({"workspace_id": workspace_id}, shown)
    now = {agent["_id"] for agent in agents if (config := agent["llm_config"]) and uses_managed(config)}
    this_month = {"workspace_id": workspace_id, "month": f"{utcnow():%Y-%m}"}
    return now | {mark["agent_id"] for mark in db.usage_allowances.find(this_month, {"agent_id": 1})}
