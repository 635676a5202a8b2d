"""An agent's own process: started, stopped, talked to, looked at."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Response, request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from core.agents import agents
from core.agents.fields import Metadata, Url
from core.runtime import reads
from core.runtime.records import SAMPLES_KEPT
from web import streams
from web.access import access
from web.answers import answer, listed
from web.api.events import HEADERS
from web.api.models import ConversationId
from web.context import caller, db, workspace_id
from web.doors import leaving, orders, standing, work
from web.resource import AgentPath, Model, example, resource
from web.shapes.base import page
from web.shapes.jobs import OF_KIND
from web.shapes.processes import Health, Log, RunningAgent
from web.specification.says import MAKES_A_JOB, accepts, shows, tells

api = resource("runtime", "An agent's own process")

Document = dict[str, Any]

LOG: Any = shows(Log, "The lines; following it, events `line` with the line as their data")
LOG["200"]["content"] |= {"text/event-stream": {"schema": {"type": "string"}}}


class AgentOrder(Model):
    """An order; everything may be left out."""

    model_config = example()
    metadata: Metadata = Field(default_factory=dict)
    callback_url: Url | None = None


class AgentMessage(AgentOrder):
    """Something to say to the running agent."""

    model_config = example(message="Hello!")
    message: Annotated[str, StringConstraints(min_length=1, max_length=1_000_000)]
    conversation_id: ConversationId | None = Field(None, description="keeps the agent's session")
    stream: bool = False


class StopQuery(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    purge: bool = Field(False, description="also delete its state, workspace and logs")


class HealthQuery(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    history: int = Field(reads.HISTORY, ge=0, le=SAMPLES_KEPT, description="the last looks at its process")


class LogQuery(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    tail: int = Field(200, ge=0, le=5000, description="so many of the last lines")
    follow: bool = Field(False, description="as Server-Sent Events; so does `Accept: text/event-stream`")


@api.post("/agents/<agent_id>/start", responses=accepts(OF_KIND["agent_start"]))
@tells(takes=MAKES_A_JOB, fails=(409,))
def start_agent(path: AgentPath, body: AgentOrder) -> Response:
    """Start the agent's process, on its last host or the one with the most room; no change if it runs."""
    agent = agents.ready(db(), workspace_id(), path.agent_id)
    return work.started(orders.start(agent, body.given()))


@api.post("/agents/<agent_id>/stop", responses=accepts(OF_KIND["agent_stop"]))
@tells(takes=MAKES_A_JOB, fails=(409,))
def stop_agent(path: AgentPath, query: StopQuery, body: AgentOrder) -> Response:
    """Stop it: its turn may end, then it ends, with all that it started. No change if it does not run."""
    agent = agents.get(db(), workspace_id(), path.agent_id)
    return work.started(orders.stop(agent, body.given(), purge=query.purge))


@api.post("/agents/<agent_id>/restart", responses=accepts(OF_KIND["agent_restart"]))
@tells(takes=MAKES_A_JOB, fails=(409,))
def restart_agent(path: AgentPath, body: AgentOrder) -> Response:
    """Stop it and start it as it is configured now; if that does not become ready, as it was before."""
    agent = agents.ready(db(), workspace_id(), path.agent_id)
    return work.started(orders.restart(agent, body.given()))


@api.post("/agents/<agent_id>/message", responses=accepts(OF_KIND["agent_message"]))
@tells(takes=MAKES_A_JOB, fails=(409,))
def message_agent(path: AgentPath, body: AgentMessage) -> Response:
    """Say something to the running agent; `result.message` is its answer.

    What it asks of its providers counts for the agent's `runtime_budget_usd`, not for this key's budget.
    """
    agent = agents.get(db(), workspace_id(), path.agent_id)
    return work.started(orders.message(agent, body.given()))


@api.get("/agents/<agent_id>/health", responses=shows(Health, "The process as it was last seen"))
def agent_health(path: AgentPath, query: HealthQuery) -> Response:
    """How the agent's process is, with its last looks (memory, readiness, restarts) and its last moves."""
    agent = agents.get(db(), workspace_id(), path.agent_id)
    return answer(reads.health(db(), agent, history=query.history))


@api.get("/agents/running", responses=shows(page(RunningAgent), "Every running agent, by name"))
@access(filtered=True)
def running_agents() -> Response:
    """The workspace's running agents."""
    return listed(reads.running(db(), workspace_id(), caller().agents), None)


@api.get("/agents/<agent_id>/logs", responses=LOG)
@access(members=True)
@tells(fails=(409,))
def agent_logs(path: AgentPath, query: LogQuery) -> Response:
    """The last lines that the agent's process printed; `follow` goes on with those that come."""
    agent = agents.get(db(), workspace_id(), path.agent_id)
    follow = query.follow or request.accept_mimetypes.best == "text/event-stream"
    host, pieces = orders.log(agent, tail=query.tail, follow=follow)
    first = next(pieces, None) or []
    if not follow:
        pieces.close()  # type: ignore[attr-defined] # a generator
        return answer({"host": host, "lines": first})
    leaving.hang_up_when_stuck(request.environ)
    events = orders.told(first, pieces, standing.ended(path.agent_id))
    return streams.counted(Response(events, content_type="text/event-stream", headers=HEADERS))
