"""What the router reads from a job and writes to it: the plan, and the record of each call. Types alone."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NotRequired, TypedDict

from core.llm.failures import FailureCode
from core.llm.types import Document, KeyKind, UsageRecord, UsageStatus, WireName

Outcome = FailureCode | Literal["in_flight", "ok", "cancelled"]
"""How a call ended. `in_flight`: it has not. `cancelled`: the job's work was ended before the answer came."""

OK: Outcome = "ok"
IN_FLIGHT: Outcome = "in_flight"
CUT_OFF: Outcome = "cancelled"

Unknown = Literal["finish_reason", "error", "part"]
OnWorkerLoss = Literal["retry", "fail", "fail_once_streamed"]


class PlannedTarget(TypedDict):
    """A `core.llm.types.Target` without its key.

    `core.llm.plan` and `core.llm.managed` write it when the job is accepted.
    """

    provider: str  # a name in `core.llm.providers`; read by prices and windows too
    model: str
    wire: WireName
    wire_given: NotRequired[bool]  # by the agent; `core.llm.families` chooses no other
    base_url: str  # the only address that the key may be sent to
    key_kind: KeyKind  # read by admission, prices and explain too
    tier: str | None  # of a managed target; the ledger's tier
    holder: str  # whose key it is: `agent:<id>`, `credential:<name>`, `managed`; the key is sealed for it
    keyed: NotRequired[bool]  # a user's key goes with it, which `core.llm.keyring` takes when it is called
    sealed: NotRequired[str | None]  # jobs that an earlier version accepted; `core.jobs.model` removes it


class Rules(TypedDict):
    """An agent's rules for all of its jobs. `core.chat.chat` writes them, `core.jobs.model` reads them."""

    on_worker_loss: OnWorkerLoss  # read when a worker is lost
    content_retention: str  # read when the job ends


class BudgetOf(TypedDict):
    """The budget that a job was accepted under, or the one that its key has been given since.

    `core.metering.admission` and `core.metering.new_budget` write it.
    """

    usd: str  # a decimal
    per: Literal["day", "month"]
    all: bool  # an admin's, which counts in all workspaces
    most: NotRequired[Document]  # that a call may use, if it was asked: `core.metering.estimate.Tokens`
    changed: NotRequired[bool]  # since the job was accepted: what it holds may be too much by now


class Plan(Rules):
    """All that a worker needs of an agent's configuration. `core.chat.chat` writes and reads it."""

    targets: list[PlannedTarget]  # the router asks one after the other
    agent: Document  # `system_prompt`, and the parameters that the agent presets
    content_fallback: bool  # read by the router
    own_turns: NotRequired[bool]  # of a conversation it is told those of its own key alone
    reserved: NotRequired[Document]  # the tokens of a limited key; for `core.accounts.limits`
    budget: NotRequired[BudgetOf]  # of a key with a budget; read before each call by `core.metering.recheck`


class Call(TypedDict):
    """One provider call. `core.llm.exchange` writes all fields but `attempt`, while the call goes on.

    It stands in the job's `calls`, or in `unkept` if the worker had lost the job by then; the meter reads
    both. Beside a field stands who reads it.
    """

    attempt: NotRequired[int]  # the claim that made it; `core.jobs.run` writes it when the claim ends
    n: int  # its place in the claim; job, claim and n are the id of its row in the ledger
    provider: str  # the ledger, prices, usage
    model: str  # the ledger, prices, usage
    key_kind: KeyKind  # the ledger; prices: which calls are free
    tier: str | None  # the ledger: which allowance it uses
    outcome: Outcome  # the ledger; `core.jobs.run` makes `cancelled` of `in_flight`
    possibly_charged: bool  # the audit; `core.jobs.model`, which decides if the job may run again
    http_status: int | None  # the job's result
    latency_ms: int | None  # the ledger, the job's result
    first_token_ms: NotRequired[int | None]  # likewise; to the first delta of a streamed answer, from 1
    output_tokens_per_second: NotRequired[float | None]  # likewise; from the first delta to the end
    provider_request_id: str | None  # the ledger, the job's result
    started_at: datetime  # the ledger: its date
    usage: UsageRecord | None  # the ledger, prices; None: as far as anybody knows, it used nothing
    usage_raw: Document | None  # the ledger: the usage as the provider told it
    usage_status: UsageStatus | None  # the ledger, prices
    finish_reason: NotRequired[str]  # the job's result: the provider's own word, if nobody knows it
    unknown: NotRequired[list[Unknown]]  # what it said that nobody knows; for `core.llm.strange`
    detail: str | None  # the provider's words, redacted; erased with the job's content
