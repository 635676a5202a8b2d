"""What the collections `jobs` and `processes` keep. A field's comment says who writes it and who reads it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict, cast

from bson.decimal128 import Decimal128
from pymongo.collection import Collection
from pymongo.database import Database

from core.llm.records import Call

Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]

Stop = Literal["cancelled", "deadline", "handed_back"]
"""Why work was ended from outside."""


class Mark(TypedDict):
    """A client's idempotency key."""

    route: str
    key: str
    hash: str  # SHA-256 of the body it came with


class Lost(TypedDict):
    """A claim whose process died. `core.jobs.reconcile` writes it; the audit calls it possibly charged."""

    attempt: int
    owner: str
    lost_at: datetime


class HandedBack(TypedDict):
    """A claim whose process was told to stop. `core.jobs.claim` writes it. It does not count as a loss."""

    attempt: int
    owner: str
    at: datetime


class Unkept(TypedDict):
    """The calls of a claim that had lost its job. `core.jobs.claim` writes them, the ledger enters them."""

    attempt: int
    owner: str
    calls: list[Call]


class Hold(TypedDict):
    """What a job holds of its key's budget in a month. `core.metering.intents` changes it."""

    nonce: str  # of the change that made it so
    days: dict[str, Decimal128]  # USD by date; nothing once its calls were entered


class Job(TypedDict):
    """A job. `core.jobs.model` makes it; whoever changes it later does so by compare-and-set."""

    _id: str
    kind: str  # a row of `core.jobs.kinds`
    queue: str  # where its id is sent; reconcile changes it to `isolation` or to another host's
    status: Status
    workspace_id: str
    agent_id: str | None
    attempt: int  # how often it was claimed; each claim raises it
    owner: str | None  # the process that has claimed it; reconcile reads whether it lives
    fence: str | None  # the random mark of its claim, by which all later writes of that claim are filtered
    created_at: datetime
    started_at: datetime | None  # at the last claim
    finished_at: datetime | None
    send_after: datetime | None  # from when its id is sent again; once it is done: when its content may go
    cancel_requested: bool  # written by control, read by its worker and by reconcile
    created_by: str  # the id of the API key, whose limits and budgets it counts for
    request_id: str  # of the HTTP request that made it
    known_as: list[
        str
    ]  # that id, the providers' own of its calls, marks: `core.jobs.queries` finds it by them
    request: Any  # the validated body, an object; `core.jobs.erasing` sets it to None
    plan: Any  # what its worker needs; for kinds that ask providers a `core.llm.records.Plan`
    metadata: dict[str, Any]  # the client's own
    result: Any  # an object as `core.jobs.kinds` says for its kind, or None
    error: Any  # a problem object, or None
    calls: list[Call]  # of the claims that ended it or handed it back; the ledger reads them
    meter: NotRequired[str]  # the ledger is to enter it: `due`, or its place; `stuck`: of earlier versions
    place: NotRequired[str]  # in the row of the process that ended it; `core.jobs.places` makes it
    meter_rev: int  # raised with every change that the ledger must see
    holds: NotRequired[dict[str, Hold]]  # by month, of a key with a budget; `core.metering` reads and writes
    idempotency: NotRequired[Mark]
    lost: NotRequired[list[Lost]]
    handed_back: NotRequired[list[HandedBack]]
    unkept: NotRequired[list[Unkept]]
    streamed: NotRequired[bool]  # words were published, so it may not run again; `core.chat` writes it
    progress: NotRequired[dict[str, Any]]  # long work writes it while it runs
    content_erased_at: NotRequired[datetime]  # `core.jobs.erasing` writes it, `core.retention` reads it
    attached: NotRequired[str]  # the request that it lives for; only the OpenAI door writes and reads it
    callback_url: NotRequired[str]
    priority: NotRequired[Literal["background"]]  # absent: interactive; `core.jobs.lanes` reads it
    retry_of: NotRequired[str]  # the job that this one repeats


class Process(TypedDict):
    """A worker process. It renews its own document; reconcile alone declares it dead."""

    _id: str
    role: str
    host: str
    pid: int
    queues: list[str]  # those that it takes from; reconcile reads here which hosts are served
    slots: int  # how many jobs it carries out at a time
    version: str
    started_at: datetime
    renewed_at: datetime  # for people: nobody compares clocks
    beat: int  # raised by the process while it lives; the leader watches that it moves
    finished_last_minute: NotRequired[int]  # for the overview of queues
    last_jobs: NotRequired[list[str]]  # those that it ended last, the latest first; shown
    memory_bytes: NotRequired[int | None]  # resident; shown
    in_line: NotRequired[bool]  # jobs that it ended wait in its row; `core.metering.entered` changes it
    entered: NotRequired[int]  # up to this place all of its row are in the ledger, which writes it
    dead: bool  # a process that finds this true ends itself
    stopped_at: datetime | None  # when it ended in good order
    declared_dead_at: NotRequired[datetime]  # when reconcile did so


def jobs_of(db: Database[dict[str, Any]]) -> Collection[Job]:
    """The collection `jobs`, for reads whose documents are to be known to mypy."""
    return cast("Collection[Job]", db.jobs)
