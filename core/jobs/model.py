"""The job document: its states, how it is born, and what its end looks like. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, cast

from core.jobs import kinds
from core.jobs.document import Hold, Job, Status
from core.jobs.places import DUE
from core.llm.records import OK, Call
from core.store.free_json import storable
from core.store.marks import chosen

Document = dict[str, Any]

QUEUED: Final = "queued"
RUNNING: Final = "running"
SUCCEEDED: Final = "succeeded"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
INTERACTIVE: Final = "interactive"
BACKGROUND: Final = "background"
DONE: frozenset[Status] = frozenset({SUCCEEDED, FAILED, CANCELLED})

MARK = "~"
"""Begins what stands among the ids of a job and is none: no id of a request has it. Alone: `_mark` says of
which jobs."""
RETRY = "retry"
"""The route of the marks of jobs that repeat another, whose id is the key: each is run again once."""
FIRST_RESEND = timedelta(seconds=10)
CONTENT_SOON = {"none": timedelta(0), "done": timedelta(hours=1)}


@dataclass(frozen=True)
class Idempotency:
    """A client's key on a route, and the SHA-256 of the body it came with.

    `kept`: how long the key stands for its job; None: for good. `frees_failures`: the key is free again once
    its job ended badly or is to be cancelled.
    """

    route: str
    key: str
    hash: str
    kept: timedelta | None = timedelta(hours=24)
    frees_failures: bool = False

    def held_by(self, job: Job, now: datetime) -> bool:
        """Does this key still stand for this job?"""
        if self.frees_failures and (job["status"] in (FAILED, CANCELLED) or job["cancel_requested"]):
            return False
        return self.kept is None or job["created_at"] >= now - self.kept


@dataclass(frozen=True)
class Draft:
    """A job about to be accepted. `request` is the validated body, `plan` all that a worker will need.

    `host`: the host that is to carry it out, for a kind by host; None: the reconciler finds one. `holds`:
    what was reserved for it, by month. `known_as`: what it is to be found by, beside the request's id.
    """

    kind: str
    workspace_id: str
    agent_id: str | None
    request: Mapping[str, Any]
    plan: Mapping[str, Any]
    created_by: str
    request_id: str
    host: str | None = None
    idempotency: Idempotency | None = None
    known_as: Sequence[str] = ()
    callback_url: str | None = None
    retry_of: str | None = None
    background: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
    holds: Mapping[str, Hold] = field(default_factory=dict)


def born(draft: Draft, job_id: str, now: datetime) -> Job:
    """The document of a job that was just accepted."""
    job: Job = {
        "_id": job_id,
        "kind": draft.kind,
        "queue": kinds.row(draft.kind).queue_on(draft.host),
        "status": QUEUED,
        "workspace_id": draft.workspace_id,
        "agent_id": draft.agent_id,
        "attempt": 0,
        "owner": None,
        "fence": None,
        "created_at": now,
        "started_at": None,
        "finished_at": None,
        "send_after": now + FIRST_RESEND,
        "cancel_requested": False,
        "created_by": draft.created_by,
        "request_id": draft.request_id,
        "known_as": [draft.request_id, *draft.known_as, *_mark(job_id)],
        "request": dict(draft.request),
        "plan": dict(draft.plan),
        "metadata": dict(draft.metadata),
        "result": None,
        "error": None,
        "calls": [],
        "meter_rev": 0,
    }
    if (mark := draft.idempotency) is not None:
        job["idempotency"] = {"route": mark.route, "key": mark.key, "hash": mark.hash}
    if draft.callback_url:
        job["callback_url"] = draft.callback_url
    if draft.background:
        job["priority"] = BACKGROUND
    if draft.holds:
        job["holds"] = dict(draft.holds)
    if draft.retry_of:
        job["retry_of"] = draft.retry_of
    return job


def seated(job: Job, process_id: str, fence: str) -> Job:
    """The same job, born in a seat of a process, as if that had claimed it."""
    changes = {"status": RUNNING, "owner": process_id, "fence": fence, "attempt": 1}
    return cast(Job, {**job, **changes, "started_at": job["created_at"]})


def ending(
    job: Job,
    *,
    status: Status,
    now: datetime,
    result: Document | None = None,
    error: Document | None = None,
    calls: list[Call] | None = None,
    fence: str | None = None,
    place: str | None = None,
) -> Document:
    """The update that ends a job. It sets the outcome and the calls, and removes the sealed keys.

    `fence`: of the claim that ends it. It stays on the document, to prove which claim did. `place`: in the
    row of its process.
    """
    calls = job["calls"] if calls is None else calls
    rule = job["plan"].get("content_retention")
    changes: Document = {
        "status": status,
        "finished_at": now,
        # Nothing is sent any more. The field, and its index, now say when the content may be erased.
        "send_after": now + content_kept(rule) if rule else now,
        "owner": None,
        "fence": fence,
        "result": storable(result),
        "error": storable(error),
        "calls": storable(calls),
        "meter": place or DUE,  # one without calls too: its callback, and the history of its workspace
    }
    if place:
        changes["place"] = place
    if any("sealed" in target for target in job["plan"].get("targets", [])):
        changes["plan"] = storable(without_keys(job["plan"]))
    also = {"known_as": {"$each": [*known_by(calls), *ended_badly(status)]}}
    return {"$set": changes, "$addToSet": also, "$inc": {"meter_rev": 1}}


def _mark(job_id: str) -> list[str]:
    """Of one job among 128, by its id: its time tells lists how close its workspace's jobs lie."""
    return [MARK] if chosen(job_id) else []


def ended_badly(status: Status | None) -> list[str]:
    """By what a job that has failed, or was cancelled, is found. These are few: an index of their own would
    make each write of all jobs dearer."""
    return [f"{MARK}{status}"] if status in (FAILED, CANCELLED) else []


def known_by(calls: Iterable[Mapping[str, Any]]) -> list[str]:
    """The ids that providers gave these calls, but for what would be a mark of ours."""
    ids = (call.get("provider_request_id") for call in calls)
    return [one for one in ids if one and not one.startswith(MARK)]


def runs_again(job: Job, calls: list[Call] | None) -> bool:
    """May a job whose worker is gone be run again? `calls`: those of that worker; None: nobody knows them."""
    rule = job["plan"].get("on_worker_loss", "retry")
    if rule == "fail":
        return calls is not None and not any(c["possibly_charged"] or c["outcome"] == OK for c in calls)
    return rule == "retry" or not job.get("streamed")


def queued_again(now: datetime) -> Document:
    """The changes that put a running job back into the queue; its id is sent right after."""
    back = {"status": QUEUED, "owner": None, "fence": None}
    return {**back, "send_after": now + FIRST_RESEND}


def content_kept(rule: str) -> timedelta:
    """How long prompt and output stay after the end: `none`, `done` (an hour), or days, as `7d` or `7`."""
    return CONTENT_SOON[rule] if rule in CONTENT_SOON else timedelta(days=int(rule.removesuffix("d")))


def without_keys(plan: Mapping[str, Any]) -> Document:
    """The plan without the sealed keys that an earlier version put there."""
    targets = [
        {name: value for name, value in target.items() if name != "sealed"}
        for target in plan.get("targets", [])
    ]
    return {**plan, "targets": targets} if targets else dict(plan)
