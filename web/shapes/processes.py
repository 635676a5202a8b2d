"""The shapes of agents' processes: how they are, and the results of the jobs that move them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import WithJsonSchema

from core.runtime import states
from web.shapes.base import Shape, maybe, say
from web.shapes.keys import Budget

State = Annotated[str, WithJsonSchema({"type": "string", "enum": list(states.STATUSES)})]


class Look(Shape):
    """One look at a process."""

    at: datetime = say("when")
    ready: bool = say("did it answer?")
    memory_mb: float = say("of the process and its children")
    children: int = say("how many processes it has started")
    restarts: int = say("how often it was started again by then")


class Move(Shape):
    """A move from one state to the next."""

    n: int = say("its number")
    at: datetime = say("when")
    before: State = say("the state that it left")
    status: State = say("the state that it came to")
    why: str | None = say("the reason, where there is one")


class Process(Shape):
    """An agent's process as it was last seen."""

    agent_id: str = say("whose it is")
    status: State = say("its state")
    desired: Literal["running", "stopped"] = say("what it is to be")
    ready: bool = say("does it answer?")
    pid: int | None = say("on its host")
    host: str | None = say("where it runs, or ran last")
    port: int | None = say("where it listens, on its host alone")
    restarts: int = say("since it was ordered to start")
    last_error: str | None = say("what went wrong last")
    memory_mb: float = say("of the process and its children")
    children: int = say("how many processes it has started")
    uptime_s: int | None = say("since it was started")
    since: datetime | None = say("since when it is in this state")
    ready_at: datetime | None = say("when it became ready")
    checked_at: datetime | None = say("when it was looked at last")
    lost_at: datetime | None = say("since when its host is silent")
    retry_at: datetime | None = say("when it is started again")
    lost: bool = say("is its host silent?")
    state_stayed_on: str | None = say("the host where its own state stayed")
    restart_needed: bool = say("was it started with something else than its agent says now?")


class Health(Process):
    """An agent's process, with its last looks and moves, and its budget."""

    budget: Budget | None = say("of its own calls; null: none")
    budget_used_up: bool = say("is its next call refused?")
    history: list[Look] = say("the last looks, the oldest first")
    events: list[Move] = say("the last moves, the oldest first")


class RunningAgent(Process):
    """A running agent."""

    name: str = say("of the agent")


class Log(Shape):
    """The last lines of a process."""

    host: str = say("where it runs, or ran last")
    lines: list[str] = say("the oldest first")


class Started(Shape):
    """An agent's process is ready."""

    status: State = say("its state")
    already: bool = say("it was ready before: nothing was changed")
    host: str | None = say("where it runs")
    pid: int | None = say("on its host")
    port: int | None = say("where it listens, on its host alone")
    note: str = maybe("what an operator ought to know")


class Stopped(Shape):
    """An agent's process has ended, or will."""

    status: State = say("its state")
    already: bool = say("it did not run: nothing was changed")
    note: str = maybe("what an operator ought to know")


class Restarted(Shape):
    """An agent's process is ready again."""

    status: State = say("its state")
    went_back: Literal[False] = say("it runs as it is configured now")
    host: str | None = say("where it runs")
    pid: int | None = say("on its host")
    port: int | None = say("where it listens, on its host alone")
    note: str = maybe("what an operator ought to know")


class Imported(Shape):
    """An agent has what an archive had."""

    agent_id: str = say("which agent")
    name: str = say("its own name, which it keeps")
    llm_config: bool = say("was the archive's taken?")
    note: str | None = maybe("what an operator ought to know")


class Told(Shape):
    """What a running agent said."""

    message: dict[str, Any] | None = say("its message, in OpenAI's format; null: erased")
    finish_reason: str | None = say("why it ends")
    conversation_id: str | None = say("the session that it belongs to")
