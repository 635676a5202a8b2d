"""The shapes of the engine: queues, workers, ticks, the audit log, health."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from core.documents import Role
from web.shapes.base import Shape, maybe, say


class Waiting(Shape):
    """A workspace's jobs in a queue."""

    workspace_id: str = say("whose they are")
    depth: int = say("jobs that wait")
    oldest_age_s: float | None = say("how long the oldest has waited")


class Queue(Shape):
    """A queue as it is now."""

    name: str = say("what paths name")
    paused: bool = say("do workers take nothing from it?")
    depth: int = say("jobs that wait")
    oldest_age_s: float | None = say("how long the oldest has waited; null: none waits")
    running: int = say("jobs that run")
    finished_last_minute: int = say("jobs that ended")
    workers: int = say("processes that take from it")
    waiting: list[Waiting] = maybe("for an admin: whose jobs wait, those with most first")


class Worker(Shape):
    """A worker process."""

    id: str = say("the process")
    role: str | None = say("which kinds of job it takes")
    host: str | None = say("where it runs")
    pid: int | None = say("on its host")
    version: str | None = say("of the program")
    queues: list[str] | None = say("those that it takes from")
    slots: int | None = say("how many jobs it carries out at a time")
    started_at: datetime | None = say("when it began")
    renewed_at: datetime | None = say("its last heartbeat")
    stopped_at: datetime | None = say("when it ended in good order")
    declared_dead_at: datetime | None = say("when it was given up")
    alive: bool = say("does its heart beat?")
    jobs: list[str] = say("what it carries out now")
    memory_bytes: int | None = say("how much memory it holds")
    last_jobs: list[str] = say("the jobs that it ended last, the latest first")


class Aside(Shape):
    """A document that a tick could not handle, and tries again later."""

    document: str = say("which one")
    error: str = say("the kind of error")
    times: int = say("how often it was tried")
    at: datetime = say("when it was tried last")
    next_at: datetime = say("when it is tried next")


class Tick(Shape):
    """Something that the scheduler does every so often."""

    name: str = say("what paths name")
    every_s: float | None = say("how often")
    duration_ms: int | None = say("how long the last run took")
    error: str | None = say("what the last run ended with")
    result: dict[str, Any] = say("what the last run with an effect did, by name")
    last_run: datetime | None = say("when")
    last_effect: datetime | None = say("when it last did something")
    running_since: datetime | None = say("of a run that goes on, or hangs")
    next_run: datetime | None = say("when it is due")
    aside: list[Aside] = say("what it could not handle, and tries again later")


class AskedTick(Shape):
    """A tick that will run within seconds."""

    name: str = say("which tick")
    asked: Literal[True] = say("it will run")


class AuditEntry(Shape):
    """Who did what."""

    id: str = say("the entry")
    at: datetime = say("when")
    workspace_id: str | None = say("where")
    key_id: str | None = say("with which key")
    role: Role | None = say("the role of the key")
    method: str | None = say("of the request")
    route: str | None = say("what was asked for")
    target: Any = say("what it was about")
    status: int | None = say("of the answer")
    address: str | None = say("from where")
    request_id: str | None = say("the request's `X-Request-Id`")


class Alive(Shape):
    """This process is alive."""

    status: Literal["ok"] = say("it is")


class Ready(Shape):
    """Everything answers."""

    status: Literal["ready"] = say("it does")
    checks: dict[str, str] = say("by dependency: `ok`")
    warnings: list[str] = say("what will soon be too much, in words for an operator")
