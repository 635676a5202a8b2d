"""The shapes of what is told without being asked each time: a job's events, and webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, RootModel, WithJsonSchema

from core.jobs.document import Status
from core.runtime import states
from web.shapes.base import Shape, maybe, say
from web.shapes.jobs import Job
from web.shapes.processes import State


class StatusData(Shape):
    """The job has another status."""

    status: Status = say("the new one")
    attempt: int = say("of the job")


class DeltaData(Shape):
    """A piece of an answer."""

    type: Literal["content", "reasoning", "tool_call"] = say("a piece of what")
    content: str = maybe("of the types `content` and `reasoning`")
    tool_call: dict[str, Any] = maybe("a piece of a call, as OpenAI streams them")
    attempt: int = say("of the job")


class ProgressData(Shape):
    """How far long work is: bytes of files, or the state of an agent's process."""

    done: int = maybe("so much is done")
    total: int = maybe("of so much")
    unit: Literal["bytes"] = maybe("of what")
    status: State = maybe("of the agent's process")
    host: str | None = maybe("where it runs")
    detail: str | None = maybe("what went wrong last")
    attempt: int = say("of the job")


class AttemptData(Shape):
    """An attempt of the job."""

    attempt: int = say("of the job")


class JobStatusEvent(Shape):
    """The job has another status."""

    event: Literal["status"] = say("the kind of event")
    id: str = say("a watch may begin anew after it")
    data: StatusData = say("what is told")


class JobDeltaEvent(Shape):
    """A piece of an answer."""

    event: Literal["delta"] = say("the kind of event")
    id: str = say("a watch may begin anew after it")
    data: DeltaData = say("what is told")


class JobProgressEvent(Shape):
    """How far long work is."""

    event: Literal["progress"] = say("the kind of event")
    id: str = say("a watch may begin anew after it")
    data: ProgressData = say("what is told")


class JobRestartEvent(Shape):
    """Another worker took over: discard the deltas of earlier attempts."""

    event: Literal["restart"] = say("the kind of event")
    id: str = say("a watch may begin anew after it")
    data: AttemptData = say("what is told")


class JobGapEvent(Shape):
    """Some events were lost."""

    event: Literal["gap"] = say("the kind of event")
    id: str = say("a watch may begin anew after it")
    data: AttemptData = say("what is told")


class JobDoneEvent(Shape):
    """The job has ended; nothing comes after this."""

    event: Literal["done"] = say("the kind of event")
    id: str = say("a watch may begin anew after it")
    data: Job = say("the whole job")


Event = JobStatusEvent | JobDeltaEvent | JobProgressEvent | JobRestartEvent | JobGapEvent | JobDoneEvent


class JobEvent(RootModel[Annotated[Event, Field(discriminator="event")]]):
    """One event of a job: a message of the WebSocket, or `event`, `id` and `data` of Server-Sent Events."""

    model_config = ConfigDict(title="JobEvent")


class JobEnded(Shape):
    """A job has ended."""

    type: Literal["job.succeeded", "job.failed", "job.cancelled"] = say("how")
    timestamp: datetime = say("when it happened; the same at every try")
    data: Job = say("the whole job")


class ThresholdData(Shape):
    """How an agent's allowance stands."""

    agent_id: str = say("which agent")
    tier: str = say("whose allowance")
    month: str = say("of which month, as 2026-11")
    threshold_percent: int = say("80, 100 or 120")
    tokens_used: int = say("so far")
    tokens_allowed: int = say("in the month")
    tokens_overage: int = say("above the allowance")


class AllowanceThreshold(Shape):
    """An agent's use has passed a part of its tier's allowance."""

    type: Literal["allowance.threshold"] = say("what happened")
    timestamp: datetime = say("when it happened; the same at every try")
    data: ThresholdData = say("how the allowance stands")


MovedTo = Annotated[
    str, WithJsonSchema({"type": "string", "enum": [f"agent.{state}" for state in states.STATUSES]})
]


class AgentMoveData(Shape):
    """A move of an agent's process."""

    agent_id: str = say("which agent")
    status: State = say("the state that it came to")
    before: State = say("the state that it left")
    at: datetime = say("when")
    host: str | None = say("where it runs, or ran last")
    reason: str | None = say("why")


class AgentMoved(Shape):
    """An agent's process has another state."""

    type: MovedTo = say("`agent.` and the state that it came to")
    timestamp: datetime = say("when it happened; the same at every try")
    data: AgentMoveData = say("the move")


class AgentBudgetData(Shape):
    """How the budget of an agent's process stands."""

    agent_id: str = say("which agent")
    threshold_percent: int = say("the part that was passed")
    period: str = say("which day or month")
    budget_usd: float = say("what may be spent in it")
    spent_usd: float = say("what was spent")
    used_up: bool = say("is its next call refused?")
    resets_at: datetime = say("when the next period begins")


class AgentBudget(Shape):
    """An agent's process has spent a part of its budget."""

    type: Literal["agent.budget"] = say("what happened")
    timestamp: datetime = say("when it happened; the same at every try")
    data: AgentBudgetData = say("how the budget stands")
