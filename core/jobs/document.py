"""What the collections `jobs` and `processes` keep: a comment a field says who writes it, who reads it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict, cast

from pymongo.collection import Collection
from pymongo.database import Database

from core.llm.records import Call

Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]

Stop = Literal["cancelled", "deadline", "handed_back"]
"""Why work was ended from outside."""


class Mark(TypedDict):
    """A client's idempotency key; a job without one has its own id there, for the unique index."""

    route: str
    key: str
    hash: str  # SHA-256 of the body it came with


class Lost(TypedDict):
    """A claim whose process died. Written by `core.jobs.reconcile`; the audit calls it possibly charged."""

    attempt: int
    owner: str
    lost_at: datetime


class HandedBack(TypedDict):
    """A claim whose process was told to stop. Written by `core.jobs.claim`; it is no loss."""

    attempt: int
    owner: str
    at: datetime


class Unkept(TypedDict):
    """What a claim called that had lost its job. Written by `core.jobs.claim`, entered by the ledger."""

    attempt: int
    owner: str
    calls: list[Call]


class Job(TypedDict):
    """A job. `core.jobs.model` makes it; claim, finish and reconcile change it by compare-and-set."""

    _id: str
    kind: str  # a row of `core.jobs.kinds`
    queue: str  # where its id is sent; reconcile moves it to `isolation`, or to another host's
    status: Status
    workspace_id: str
    agent_id: str | None
    attempt: int  # how often it was claimed
    owner: str | None  # the process that has claimed it
    fence: str | None  # of the claim: each later write of that claim is filtered by it
    created_at: datetime
    started_at: datetime | None  # of the last claim
    finished_at: datetime | None
    send_after: datetime | None  # when its id is sent again; once it is done: when its content may go
    sends: int  # how often its id was sent
    cancel_requested: bool  # written by control, read by its worker and by reconcile
    created_by: str  # the key that limits and budgets count under
    request_id: str  # of the HTTP request that made it
    request: Any  # the validated body, an object; None once its content was erased
    plan: Any  # what its worker needs; `core.llm.records.Plan` for kinds that ask providers
    metadata: dict[str, Any]  # the client's own
    result: Any  # an object, or None: what `core.jobs.kinds` says for its kind
    error: Any  # a problem object, or None
    calls: list[Call]  # of all claims that ended or handed it back; read by the ledger
    meter: NotRequired[Literal["due", "stuck"]]  # the ledger is to enter it, or could not
    meter_rev: int  # raised with every change that the ledger must see
    idempotency: Mark
    lost: NotRequired[list[Lost]]
    handed_back: NotRequired[list[HandedBack]]
    unkept: NotRequired[list[Unkept]]
    streamed: NotRequired[bool]  # words were published that cannot be unsaid; `core.chat` writes it
    progress: NotRequired[dict[str, Any]]  # long work writes it while it runs
    content_erased_at: NotRequired[datetime]  # `core.jobs.erasing` writes it, `core.retention` reads it
    attached: NotRequired[str]  # the request that it lives for; only the OpenAI door writes and reads it
    callback_url: NotRequired[str]
    retry_of: NotRequired[str]  # the job that this one repeats


class Process(TypedDict):
    """A worker process. It renews its own document; reconcile alone declares it dead."""

    _id: str
    role: str
    host: str
    pid: int
    queues: list[str]  # those that it takes from; reconcile reads which hosts are served
    slots: int
    version: str
    started_at: datetime
    renewed_at: datetime  # for people: nobody compares clocks
    beat: int  # raised while it lives
    finished_last_minute: NotRequired[int]
    dead: bool  # whoever finds itself dead ends itself
    stopped_at: datetime | None
    declared_dead_at: NotRequired[datetime]


def jobs_of(db: Database[dict[str, Any]]) -> Collection[Job]:
    """The collection of jobs, for reads whose documents mypy is to know."""
    return cast("Collection[Job]", db.jobs)
