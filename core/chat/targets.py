"""Whom a job asks: its plan's targets, each of which takes its key when it is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from pymongo.database import Database

from core.documents import Credential, LlmConfig, agents_of, credentials_of
from core.jobs.run import Run
from core.llm import plan as routes
from core.llm.keyring import Keyring
from core.llm.records import PlannedTarget
from core.llm.types import Target
from core.store.repeat import through_outages

Document = dict[str, Any]


def of(run: Run, planned: list[PlannedTarget] | None = None) -> list[Target]:
    """The targets of a run, in their order. While the store is away no call begins that needs a key.

    `planned`: those of its plan that may be asked; None: all of them.
    """
    services, job = run.services, run.job
    agent_id = job["agent_id"] or ""
    keyring = Keyring(
        job["workspace_id"],
        agent_id,
        lambda: services.keys.get(("config", agent_id), partial(_config, services.db, agent_id)),
        lambda name: services.keys.get(
            ("credential", job["workspace_id"], name),
            partial(_credential, services.db, job["workspace_id"], name),
        ),
        services.sealer,
        services.settings,
    )
    found = routes.targets(planned or job["plan"]["targets"], keyring)
    return [replace(one, take=partial(_patient, run, one.take)) if one.take else one for one in found]


def _patient(run: Run, take: Callable[[], str | None]) -> str | None:
    return through_outages(take, what="key", give_up=lambda: run.stopped is not None)


def _config(db: Database[Document], agent_id: str) -> LlmConfig | None:
    agent = agents_of(db).find_one({"_id": agent_id}, {"llm_config": 1})
    return agent["llm_config"] if agent is not None else None


def _credential(db: Database[Document], workspace_id: str, name: str) -> Credential | None:
    return credentials_of(db).find_one({"_id": f"{workspace_id}/{name}"})
