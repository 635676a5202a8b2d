"""What `runtimes` and `runtime_hosts` keep. Types alone; a comment a field says who reads it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict


class Event(TypedDict):
    """A move from one state to the next."""

    n: int  # its number; alerts are told apart by it
    at: datetime
    before: str
    status: str
    why: str | None


class Sample(TypedDict):
    """One look at a process, for a sparkline."""

    at: datetime
    ready: bool
    memory_mb: float  # of the whole tree
    children: int
    restarts: int


class Spec(TypedDict):
    """What a process is started with, but for its secrets. `core.runtime.spec` makes it of an agent."""

    made_of: str  # compared with the agent of now: is a restart needed?
    name: str
    system_prompt: str | None
    tools: list[str]
    models: list[str]  # `provider/model`, in the order in which they are asked
    providers: dict[str, Any]  # OpenClaw's `models.providers`; keys are names of variables
    keys: list[dict[str, Any]]  # direct mode: which key each variable holds
    program: str


class Record(TypedDict):
    """An agent's process as it is desired and as it was seen. Every change is a compare-and-set on `rev`."""

    _id: str  # the agent's
    workspace_id: str
    rev: int
    written: str  # a random mark of the last write: a reply that got lost is not a lost write
    desired: Literal["running", "stopped"]
    asked: str  # the last order's job: an earlier order that comes late changes nothing
    purge: bool  # the stop takes the directory too
    status: str  # see `core.runtime.states`
    since: datetime
    host: str | None  # where it runs, or ran last: its own state lies there
    moved_from: str | None  # where its own state stayed
    lost_at: datetime | None  # its host has been silent since then
    instance: str | None  # the mark of the process, unique to each start
    pid: int | None
    pid_started: int | None
    port: int | None
    listens: str  # boot and port, unique over all records: no port twice on a machine
    started_at: datetime | None
    ready_at: datetime | None
    spec: Spec | None  # of the process that runs, or is to be started
    good: Spec | None  # the last one that became ready
    fallback: Spec | None  # a restart goes back to it
    restarted_by: str | None  # the job of the last restart
    went_back: str | None  # why the last restart went back
    failures: int  # in a row
    restarts: int  # since it was ordered to start
    retry_at: datetime | None
    last_error: str | None
    checked_at: datetime | None
    ready: bool
    memory_mb: float
    children: int
    health: list[Sample]
    events: list[Event]
    alerts_due: bool  # some of `events` were not told to the workspace yet
    told: int  # the number of the last event that was


class HostDocument(TypedDict):
    """A host, as its worker last described it. Whether it is alive its worker's lease tells."""

    _id: str
    capacity: int  # how many agents it runs at most
    memory_free_mb: float
    agents: NotRequired[int]
    seen_at: datetime
