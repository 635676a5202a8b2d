"""Work is a job: from a validated request to an accepted job, waited for if the client prefers."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from flask import Response, g, request

from core.accounts import limits
from core.accounts.keys import OWN_JOBS_ALONE
from core.agents import agents, credentials
from core.chat import attachments, chat
from core.clock import utcnow
from core.documents import Agent, Credential
from core.errors import Invalid, NotFound, Problem, Unauthorized
from core.ids import new_id
from core.jobs import kinds
from core.jobs.accept import accept, earlier
from core.jobs.document import Job
from core.jobs.model import BACKGROUND, DONE, Draft, Idempotency
from core.llm import tiers
from core.llm.records import OnWorkerLoss
from core.metering import admission, budgets
from core.metering import prices as price_tables
from core.metering.prices import Table
from core.metering.reserving import Reservation
from core.outbound.guard import Guard
from web import answers, limiting
from web.context import (
    caller,
    db,
    prices,
    remembered,
    request_id,
    reserving,
    seats,
    services,
    watcher,
    workspace_id,
)
from web.doors import standing

Document = dict[str, Any]

LONGEST_WAIT_S = 120
LONGEST_KEY = 255
WAIT = re.compile(r"(?:^|,)\s*wait\s*=\s*\"?(\d{1,6})\"?\s*(?:[;,]|$)", re.IGNORECASE)
NOT_KEPT = frozenset({"callback_url", "metadata", "priority"})


def agent_named(reference: str) -> Agent:
    """The agent that a door's client names, by id or as `agent:<name>`.

    Raises `NotFound`, in the same words for an agent that this key may not touch.
    """
    found: Agent | None = None
    with suppress(NotFound):
        found = agent_known(reference)
    if found is None or not caller().may_touch(found["_id"]):
        raise NotFound(f"there is no agent {reference!r}", code="agent_not_found")
    return found


def agent_known(reference: str) -> Agent:
    """An agent that is about to be asked, as it was at most a moment ago. Raises `NotFound`."""
    known = ("agent", workspace_id(), reference)
    return remembered().get(known, lambda: agents.named(db(), workspace_id(), reference))


def draft(
    kind: str,
    agent: Agent,
    asked: Mapping[str, Any],
    *,
    idempotency: Idempotency | None = None,
    retry_of: str | None = None,
    on_worker_loss: OnWorkerLoss | None = None,
    known_as: Sequence[str] = (),
) -> Draft:
    """A job for an agent, with the agent's configuration as it is now.

    `on_worker_loss` takes the place of the agent's own. Raises `Invalid` for an agent without a provider,
    where the kind asks one.
    """
    if asked.get("callback_url"):
        allowed = services().settings.custom_endpoint_allow
        Guard(allowed).check_url(asked["callback_url"], pointer="/callback_url")
    if "messages" in asked:
        said = attachments.known(db(), workspace_id(), asked["messages"], agents=caller().agents)
        asked = {**asked, "messages": said}
    plan = _plan(kind, agent, asked)
    if on_worker_loss is not None:
        plan["on_worker_loss"] = on_worker_loss
    return Draft(
        kind=kind,
        workspace_id=workspace_id(),
        agent_id=agent["_id"],
        request={name: value for name, value in asked.items() if name not in NOT_KEPT},
        plan=plan,
        created_by=caller().key_id,
        request_id=request_id(),
        idempotency=idempotency,
        known_as=known_as,
        callback_url=asked.get("callback_url"),
        retry_of=retry_of,
        background=asked.get("priority") == BACKGROUND,
        metadata=asked.get("metadata") or {},
    )


def _plan(kind: str, agent: Agent, asked: Mapping[str, Any]) -> Document:
    """A kind that asks no provider gets no target and no key."""
    settings = services().settings
    if not kinds.row(kind).budgeted:
        return {**chat.rules(agent, settings)}
    plan = chat.plan(
        agents.checked(agent),
        settings=settings,
        find_credential=find_credential,
        runtime=kind == "runtime",
    )
    reserved = limiting.reserve_tokens(asked)
    if reserved is not None:
        plan["reserved"] = reserved
    if caller().role in OWN_JOBS_ALONE:
        plan["own_turns"] = True
    return {**plan}


def again(job: Job, mark: Idempotency) -> Draft:
    """A job once more that asks no provider: what was asked is all that it needs."""
    return Draft(
        kind=job["kind"],
        workspace_id=job["workspace_id"],
        agent_id=job["agent_id"],
        request=job["request"],
        plan=job["plan"],
        created_by=caller().key_id,
        request_id=request_id(),
        idempotency=mark,
        callback_url=job.get("callback_url"),
        retry_of=job["_id"],
        background=job.get("priority") == BACKGROUND,
        metadata=job["metadata"],
    )


def accepted(asked: Draft, agent: Agent | None, job_id: str | None = None) -> tuple[Job, bool]:
    """The job of a request, admitted and then accepted, and whether it was made by this request.

    `agent`: whose providers are asked, for a kind that asks them; no other kind needs to be admitted.
    `job_id`: the id it gets, where something was kept under it before.
    One that repeats an earlier request gets its job. Raises `OverLimit` (402) when a hard cap or a budget is
    used up, which is no reason to refuse a repetition.
    """
    job_id, reserved = job_id or new_id(), None
    try:
        if kinds.row(asked.kind).budgeted:
            assert agent is not None
            asked, reserved = _admitted(asked, agent, job_id)
        return _accepted(asked, job_id, reserved)
    except Problem:
        _give_back(asked, reserved)
        job = earlier(db(), asked)
        if job is None:
            raise
        return job, False


def _admitted(asked: Draft, agent: Agent, job_id: str) -> tuple[Draft, Reservation | None]:
    """The draft as it may be carried out, and what it is to reserve."""
    now = utcnow()
    plan = admission.within_cap(db(), agent, asked.plan, tiers.table().monthly_tokens(), now)
    found = admission.reservation(
        prices(),
        job_id=job_id,
        caller=caller(),
        own=_own_prices,
        plan=plan,
        request=asked.request,
        now=now,
        unknown_window=services().settings.unknown_window_tokens,
    )
    if found is None:
        return replace(asked, plan=plan), None
    reserved, plan = found
    return replace(asked, plan=plan, holds={reserved.budget.month: reserved.change.hold}), reserved


def _own_prices() -> Table:
    """As they were a moment ago: they are read again before each call."""
    read = partial(price_tables.of_workspace, db(), workspace_id())
    return remembered().get(("prices", workspace_id()), read)


def _accepted(asked: Draft, job_id: str, reserved: Reservation | None) -> tuple[Job, bool]:
    """A store that fails here may have kept the job: its reservation stays until that is known."""
    insert = services().insert_job if reserved is None else reserving().insert_of(reserved)
    job, made = accept(db(), services().send, asked, job_id=job_id, insert=insert, seats=seats())
    if not made:
        _give_back(asked, reserved)
    g.made_job, g.fresh_job = job["_id"], job if made else None
    return job, made


def _give_back(asked: Draft, reserved: Reservation | None) -> None:
    """No call will be made: what was reserved for it, tokens and money, is free again."""
    limits.settle(services().redis, {"plan": asked.plan, "created_by": asked.created_by}, 0)
    if reserved is not None and reserved.held:
        budgets.release(db(), reserved.budget, reserved.change)


def started(job: Job) -> Response:
    """The answer to a request that made a job, or found the one that an earlier request made."""
    g.made_job = job["_id"]
    wait_s = preferred_wait()
    if wait_s is None:
        return answers.accepted(job)
    if job["status"] not in DONE:
        over = standing.ended(job["agent_id"])
        job = watcher().wait(job["_id"], wait_s, over, known=fresh(job))
        if over():
            raise Unauthorized("this API key is not valid any more")
    if job["status"] not in DONE:
        return answers.accepted(job)
    return answers.finished(job, wait_s)


def fresh(job: Job) -> Job | None:
    """The job, if this request made it: nobody needs to read it again at once."""
    return job if g.get("fresh_job") is job else None


def preferred_wait() -> int | None:
    """The seconds of `Prefer: wait=N` (RFC 7240), at most 120; None when there is no such preference."""
    found = WAIT.search(",".join(request.headers.getlist("Prefer")))
    return min(int(found[1]), LONGEST_WAIT_S) if found else None


def idempotency(route: str) -> Idempotency | None:
    """The client's Idempotency-Key on this route, with the hash of the body it came with.

    A key of an agent, or of its process, has its own: it may not see what others have made.
    """
    key = idempotency_key()
    if key is None:
        return None
    if caller().role in OWN_JOBS_ALONE:  # it must not be given the job that another key made
        route = f"{route}/{caller().key_id}"
    body = request.get_json() if request.content_length or request.is_json else None
    return Idempotency(route=route, key=key, hash=body_hash(body))


def idempotency_key() -> str | None:
    """The client's Idempotency-Key; None: there is none. Raises `Invalid` for one that cannot be one."""
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return None
    key = given.strip().removeprefix('"').removesuffix('"')
    if not key or len(key) > LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise Invalid(f"an Idempotency-Key has 1 to {LONGEST_KEY} printable ASCII characters")
    return key


def body_hash(body: Any) -> str:
    """The same for the same JSON, however it was written down."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def find_credential(name: str) -> Credential | None:
    """A credential of this request's workspace."""
    return credentials.find(db(), workspace_id(), name)
