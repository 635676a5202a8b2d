"""The shapes of statements and of the audit: what a month comes to, and if all of it is accounted for."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from web.shapes.base import Shape, say
from web.shapes.usage import COUNTS, UNPRICED, counts


class PossiblyCharged(Shape):
    """A call that a provider may have charged, though its worker died before the answer was kept."""

    id: str = say("job, attempt and, if it is known, number of the call")
    at: datetime = say("when it was made, or its worker was lost")
    provider: str | None = say("who was asked; null: nobody knows")
    model: str | None = say("which of its models; null: nobody knows")
    reason: str = say("why it may be charged")


class Audit(Shape):
    """Provider calls that used tokens against the rows of the ledger."""

    from_: datetime = Field(alias="from", description="from this time on")
    to: datetime = say("up to this time")
    speaks_from: datetime = say("jobs from before may be deleted: it does not speak of those")
    calls: int = say("that jobs know of")
    rows: int = say("of the ledger")
    equal: bool = say("is there no difference?")
    tokens: int = say("of calls and rows that agree")
    rows_not_kept: int = say("of calls whose answer was not kept")
    missing: list[str] = say("calls without a row")
    unexpected: list[str] = say("rows without a call")
    differing: list[str] = say("calls whose row has other tokens")
    pending: int = say("calls that are still to be entered")
    rows_of_deleted_jobs: int = say("that nothing can be said of")
    possibly_charged: int = say("how many calls may have been charged and are in no row")
    possibly_charged_calls: list[PossiblyCharged] = say("the first of these")


class StatementHead(Shape):
    """A statement that was issued."""

    month: str = say("which month, as 2026-11")
    revision: int | None = say("the first is 1; null: not issued yet")
    sha256: str | None = say("of its content, in hexadecimal; null: not issued yet")
    issued_at: datetime | None = say("when; null: not issued yet")


class TierLine(Shape):
    """What an agent owes for its tier."""

    agent_id: str = say("which agent")
    tier: str = say("which tier")
    price_usd: str | None = say("of the month, with all decimals; null: not known")
    tokens_allowed: int = say("in the month")
    tokens_used: int = say("in the month")
    tokens_overage: int = say("above the allowance")
    overage_usd: str | None = say("of these, with all decimals; null: not known")
    overage_calls: int = say("calls above the allowance")
    overage_calls_unpriced: int = say(UNPRICED)


class UsageLine(counts("LineCounts")):  # type: ignore[misc] # each row of `sums.COUNTS` is a field
    """What an agent used of a model."""

    agent_id: str | None = say("which agent")
    provider: str = say("who was asked")
    model: str = say("which of its models")
    tier: str | None = say("whose allowance it used")
    key_kind: str = say("whose key: `byokey`, `custom`, `managed` or `sandbox`")
    cost_usd: str | None = say("with all decimals; null: not known")


class StatementTotal(Shape):
    """What a month comes to. Amounts are text with all their decimals."""

    tiers_usd: str = say("for tiers")
    overage_usd: str = say("above allowances")
    due_usd: str = say("both together, rounded to cents")
    complete: bool = say("is every price known, and is the month over?")
    overage_calls_unpriced: int = say(UNPRICED)
    requests: int = say(COUNTS["requests"])
    tokens_total: int = say("all tokens")
    cost_usd: str = say("what providers charge for all that was used")


class Statement(StatementHead):
    """A month's statement."""

    workspace_id: str = say("whose it is")
    from_: datetime = Field(alias="from", description="when the month begins")
    to: datetime = say("when it ends")
    currency: Literal["USD"] = say("of all amounts")
    tiers: list[TierLine] = say("what is due for tiers, and above them")
    usage: list[UsageLine] = say("what was used, by agent and model")
    total: StatementTotal = say("what it comes to")
