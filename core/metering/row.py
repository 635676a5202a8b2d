"""A row of the ledger (`token_usage`): one provider call, or what corrects its cost. Types alone."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict

from bson.decimal128 import Decimal128

from core.llm.records import Outcome
from core.llm.types import KeyKind, UsageStatus

CostStatus = Literal["known", "estimated", "unknown", "free"]


class PricedBy(TypedDict):
    """Which price of which table: see `core.metering.prices.Price`."""

    model: str | None
    source: str | None
    version: str | None


class LedgerRow(TypedDict):
    """Written once and never changed: by `core.metering.ledger`, a correction by `core.metering.corrections`.

    `core.metering.export` reads all of it. Beside a field stands who else reads it; `sums` is
    `core.metering.sums`, from which roll-ups and reports are made.
    """

    _id: str  # `job:attempt:call`, of a correction with `~1`, `~2`, …; the audit meets calls by it
    corrects: NotRequired[str]  # the id of the row that it corrects; the audit passes these over
    workspace_id: str  # every reader begins with it, or with `agent_id`
    agent_id: str  # sums by agent; allowances
    job_id: str  # budgets: which reservation it settles
    attempt: int  # the claim
    n: int  # the call in its claim
    key_id: str  # budgets: whose
    request_type: str  # the kind of its job
    provider: str  # sums; prices, when it is priced again
    model: str  # sums; prices, when it is priced again
    tier: str  # sums; allowances; `byokey` where no managed tier was used
    key_kind: KeyKind  # sums; marks: allowances count managed calls alone
    outcome: Outcome  # sums: `failed`
    kept: bool  # sums, budgets, allowances count kept rows alone; False: its worker had lost the job
    requests: int  # sums; 1, of a correction 0
    unpriced: int  # sums; 1 while the cost is not known, -1 where a correction has made it known
    tokens_input: int  # sums
    tokens_output: int  # sums
    tokens_total: int  # sums; allowances; the audit
    tokens_cached: int  # sums; read from the provider's cache, a part of the input
    tokens_cache_write: int  # sums; written to the provider's cache, a part of the input
    tokens_reasoning: int  # sums; a part of the output
    usage_status: UsageStatus  # sums: `estimated`
    usage_raw: dict[str, Any] | None  # the provider's own words, for whoever doubts a row
    cost: Decimal128 | None  # sums; budgets; USD, of a correction the difference; None: not known
    cost_status: CostStatus
    price: PricedBy
    latency_ms: int | None
    first_token_ms: int | None  # speeds; of a streamed call, as the next one
    output_tokens_per_second: float | None  # speeds
    provider_request_id: str | None
    timestamp: datetime  # when the call began: reports in other time zones, overage's order
    date: str  # of `timestamp` in UTC; every reader finds rows by it
    month: str  # of `timestamp` in UTC; marks
    entered_at: datetime
