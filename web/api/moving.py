"""An agent taken elsewhere: all that it is as one archive in the drive, and back."""

from __future__ import annotations

from dataclasses import replace

from flask import Response, request
from pydantic import Field

from core.agents import agents
from core.agents.fields import Url
from core.documents import Agent
from core.drive import files
from core.runtime import exporting, importing, orders, placement, records
from core.runtime.documents import Record
from web.access import access
from web.answers import nothing
from web.context import caller, db, workspace_id
from web.doors import work
from web.resource import AgentPath, Id, Model, example, resource
from web.shapes.jobs import OF_KIND
from web.specification.says import MAKES_A_JOB, accepts, tells

api = resource("moving", "Agents as archives")


class AgentImport(Model):
    """An archive, and who is told."""

    model_config = example(file_id="0199a0de-0000-7000-8000-000000000000")
    file_id: Id = Field(description="an archive in the drive, made by an export")
    callback_url: Url | None = None


@api.get("/agents/<agent_id>/export", responses=accepts(OF_KIND["agent_export"]))
@access(members=True)
@tells(takes=MAKES_A_JOB, fails=(409,))
def export_agent(path: AgentPath) -> Response:
    """Pack a stopped agent's configuration (no keys), state and workspace; `result`: the archive's record."""
    if request.method != "GET":
        return nothing()  # a HEAD makes no job
    agent = agents.get(db(), workspace_id(), path.agent_id)
    orders.check_at_rest(db(), agent)
    host = placement.carrier(db(), _record(agent))
    return _begun(exporting.KIND, agent, {}, host)


@api.post("/agents/<agent_id>/import", responses=accepts(OF_KIND["agent_import"]))
@tells(takes=MAKES_A_JOB, fails=(409,))
def import_agent(path: AgentPath, body: AgentImport) -> Response:
    """Give a stopped agent what an archive has. Its name and its keys stay its own; the rest is replaced."""
    agent = agents.get(db(), workspace_id(), path.agent_id)
    orders.check_at_rest(db(), agent)
    files.get(db(), workspace_id(), body.file_id, agents=caller().agents)
    host = placement.choose(db(), _record(agent))
    return _begun(importing.KIND, agent, body.given(), host)


def _record(agent: Agent) -> Record:
    found = records.find(db(), agent["_id"], lean=True)
    return found or records.born(agent["workspace_id"], agent["_id"])


def _begun(kind: str, agent: Agent, asked: dict[str, object], host: str | None) -> Response:
    mark = work.idempotency(f"{kind}/{agent['_id']}")
    draft = work.draft(kind, agent, asked, idempotency=mark, on_worker_loss="retry")
    return work.started(work.accepted(replace(draft, host=host), agent)[0])
