"""What the collections of the history keep. Types alone."""

from __future__ import annotations

from datetime import datetime
from typing import NotRequired, TypedDict

from bson.decimal128 import Decimal128

from core.jobs.document import Status
from core.sketch import Sketch


class CallFact(TypedDict):
    """What charts need of a provider call."""

    provider: str
    ok: bool
    latency_ms: int | None
    first_token_ms: int | None


class JobFact(TypedDict):
    """What charts need of a job that ended."""

    id: str
    status: Status
    code: str | None  # of its error
    agent_id: str | None
    queue: str
    latency_ms: int  # from its acceptance to its end, as its client saw it
    cost: Decimal128  # USD, as far as it is known
    calls: list[CallFact]


class Batch(TypedDict):
    """Jobs of a workspace that ended in the same minute and came to the ledger together."""

    _id: str
    workspace_id: str
    at: datetime  # the minute
    open: bool  # not in its minute yet
    jobs: list[JobFact]
    expires_at: datetime


class Tally(TypedDict):
    """How often something was met."""

    name: str
    n: int


class ProviderPoint(TypedDict):
    """A provider's calls."""

    name: str
    calls: int
    failed: int
    latency: Sketch
    first_token: Sketch


class Point(TypedDict):
    """A minute or an hour of a workspace. A field is missing where nothing has written it."""

    at: datetime  # when it begins
    accepted: NotRequired[int]
    queued: NotRequired[int]  # waiting when it ended
    running: NotRequired[int]
    succeeded: NotRequired[int]
    failed: NotRequired[int]
    cancelled: NotRequired[int]
    latency: NotRequired[Sketch]  # of jobs that succeeded and asked a provider
    first_token: NotRequired[Sketch]  # of provider calls
    cost: NotRequired[Decimal128]
    reasons: NotRequired[list[Tally]]  # kinds of error of jobs that failed, the most frequent first
    agents: NotRequired[list[Tally]]  # whose jobs failed, the most first
    providers: NotRequired[list[ProviderPoint]]


class QueuePoint(TypedDict):
    """A minute of a queue."""

    queue: str
    at: datetime
    depth: NotRequired[int]
    running: NotRequired[int]
    finished: NotRequired[int]
