"""A job once more: as it was asked, or with a change."""

from __future__ import annotations

from typing import Any

from core.agents import agents
from core.errors import Conflict
from core.jobs import control, kinds
from core.jobs.document import Job
from core.jobs.model import RETRY, Idempotency
from web.context import db, workspace_id
from web.doors import work


def run(job: Job) -> Job:
    """A failed or cancelled job with today's configuration; a second time gives the same job.

    Raises `Conflict` for a job that cannot be run again.
    """
    control.check_retry(job)
    kind = kinds.row(job["kind"])
    if not kind.retried:
        raise Conflict(f"a job of the kind {kind.name} cannot be run again")
    mark = Idempotency(route=RETRY, key=job["_id"], hash="", kept=None)
    if not kind.budgeted:
        return work.accepted(work.again(job, mark), None)[0]
    agent = agents.get(db(), workspace_id(), job["agent_id"] or "")
    draft = work.draft(job["kind"], agent, _asked(job), idempotency=mark, retry_of=job["_id"])
    return work.accepted(draft, agent)[0]


def changed(job: Job, *, model: str | None, messages: list[dict[str, Any]]) -> Job:
    """A chat once more, with other messages, or another model of the agent's provider: a new job each time.

    Raises `Conflict` for what is no chat, or one whose content was erased.
    """
    check_change(job)
    agent = agents.checked(agents.get(db(), workspace_id(), job["agent_id"] or ""))
    config = agent["llm_config"]
    if model and config is not None:
        if config["managed"]:
            raise Conflict("the models of a managed tier are its own")
        agent = {**agent, "llm_config": {**config, "model": model}}
    draft = work.draft("chat", agent, {**_asked(job), "messages": messages}, retry_of=job["_id"])
    return work.accepted(draft, agent)[0]


def check_change(job: Job) -> None:
    """Raises as `changed` does."""
    if job["kind"] != "chat" or job["request"] is None:
        raise Conflict("only a chat whose content is still there can be changed")


def _asked(job: Job) -> dict[str, Any]:
    kept = {"callback_url": job.get("callback_url"), "priority": job.get("priority")}
    return {**job["request"], "metadata": job["metadata"], **kept}
