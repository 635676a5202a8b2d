"""The shapes of usage: sums of the ledger, cut in every direction."""

from __future__ import annotations

from datetime import date as Day
from datetime import datetime
from typing import Literal

from pydantic import Field, create_model

from core.metering import sums
from web.shapes.base import Listed, Shape, say
from web.shapes.keys import Budget

COUNTS = {
    "requests": "provider calls that used tokens",
    "failed": "of these, calls that gave no answer",
    "estimated": "of these, calls whose tokens are estimated",
    "tokens_input": "tokens that were sent",
    "tokens_output": "tokens that came back",
    "tokens_total": "both together",
    "tokens_cached": "of those sent, tokens that a provider had cached",
    "tokens_cache_write": "of those sent, tokens that a provider cached",
    "tokens_reasoning": "of those that came back, tokens that were thought and not said",
}
UNPRICED = "of these, calls whose price is not known"
SumStatus = Literal["known", "estimated", "partial", "unknown", "free"]
SAYS = "`partial`: of the calls whose price is known; `free`: nothing was charged"


def counts(name: str, without: tuple[str, ...] = ()) -> type[Shape]:
    """What all sums count."""
    named = [one for one in sums.COUNTS if one != "unpriced" and one not in without]
    fields = {one: (int, say(COUNTS[one])) for one in named}
    return create_model(name, __base__=Shape, requests_unpriced=(int, say(UNPRICED)), **fields)  # type: ignore[call-overload, no-any-return]


class Sums(counts("Counts")):  # type: ignore[misc] # each row of `sums.COUNTS` is a field
    """Sums of calls."""

    cost: float | None = say("USD; null: no price is known")
    cost_status: SumStatus = say(SAYS)


class Totals(counts("CountsOfAll", without=("requests",))):  # type: ignore[misc] # likewise
    """Sums of all calls of the report."""


class Days(Shape):
    """The days of a report, both ends included."""

    from_: Day = Field(alias="from", description="the first date")
    to: Day = say("the last date")
    timezone: str = say("whose days these are")


class Head(Shape):
    """What every report begins with."""

    period: Days = say("the days that it is about")
    requests: int = say(COUNTS["requests"])
    cost: float | None = say("USD; null: no price is known")
    cost_status: SumStatus = say(SAYS)
    totals: Totals = say("of all days")


class OfDate(Sums):
    """The sums of a day."""

    date: Day = say("the day")


class Quantiles(Shape):
    """How fast calls were."""

    median: float = say("half of the calls were at most this")
    p95: float = say("95 of 100 calls were at most this")


class OfModel(Sums):
    """The sums of a model."""

    provider: str = say("whose model")
    model: str = say("which model")
    first_token_ms: Quantiles | None = say("to the first delta; null: nothing was streamed")
    output_tokens_per_second: Quantiles | None = say("from the first delta; null: nothing was streamed")


class OfModelWithSavings(OfModel):
    """The sums of a model, with what the provider's cache saved."""

    cache_saved: float | None = say("USD; null: a price is not known")


class OfAgent(Sums):
    """The sums of an agent."""

    agent_id: str | None = say("which agent")


class OfProvider(Sums):
    """The sums of a provider."""

    provider: str = say("which provider")


class OfTier(Sums):
    """The sums of a tier."""

    tier: str | None = say("which tier; `byokey`: on keys of one's own")


class Allowance(Shape):
    """What a tier allows an agent in a month."""

    tier: str = say("which tier")
    month: str = say("which month, as 2026-11")
    tokens_allowed: int = say("in the month")
    tokens_used: int = say("so far")
    tokens_left: int = say("of the allowance")
    tokens_overage: int = say("above the allowance")
    resets_at: datetime = say("when the next month begins")
    exhausted_on: Day | None = say("when it will end at this pace; null: not before it resets")


class AgentUsage(Head):
    """What an agent used."""

    agent_id: str = say("which agent")
    cache_saved: float | None = say("USD that caches of providers saved; null: a price is not known")
    by_model: list[OfModelWithSavings] = say("each model that was asked")
    by_date: list[OfDate] = say("each day, those without calls too")
    allowance: Allowance | None = say("of its tier; null: it is on none")


class UsageSummary(Head):
    """What a workspace used."""

    workspace_id: str = say("which workspace")
    by_agent: list[OfAgent] = say("each agent that was asked")
    by_model: list[OfModel] = say("each model that was asked")
    by_provider: list[OfProvider] = say("each provider that was asked")
    by_tier: list[OfTier] = say("each tier that was used")
    by_date: list[OfDate] = say("each day, those without calls too")


class KeyUsage(Head):
    """What a key used, and how its budget stands."""

    key_id: str = say("which key; one that replaced others goes on with what they used")
    by_date: list[OfDate] = say("each day, those without calls too")
    budget: Budget | None = say("how it stands; null: none")


class TierSums(Sums):
    """A workspace's use of a tier this month."""

    agents: int = say("agents that are on it")
    agents_over: int = say("of these, agents above their allowance")
    tokens_overage: int = say("tokens above the allowances")


class Tier(Shape):
    """A tier, and this month's use of it."""

    name: str = say("what an agent's `llm_config` says")
    chat_model: str = say("what answers chats, as `provider/model`")
    runtime_model: str = say("what answers agents' own processes")
    monthly_tokens: int = say("allowed for each agent")
    price_usd: float = say("a month, for each agent")
    available: bool = say("is there a key for it here?")
    usage: TierSums = say("by this workspace, this month")


class Tiers(Shape):
    """The tiers, and a workspace's use of each."""

    month: str = say("which month, as 2026-11")
    resets_at: datetime = say("when the next month begins")
    items: list[Tier] = say("the table of tiers")
    own_keys: Sums = say("what was asked on keys of one's own")


class OverageOfAgent(Shape):
    """What an agent comes to above a tier's allowance."""

    agent_id: str = say("which agent")
    tier: str = say("above whose allowance")
    calls: int = say("how many calls")
    calls_unpriced: int = say(UNPRICED)
    tokens_overage: int = say("tokens above the allowance")
    cost: float = say("USD")


class OverageRow(Shape):
    """A call that went above an allowance."""

    id: str = say("job, attempt and number of the call")
    agent_id: str = say("who asked")
    tier: str = say("above whose allowance")
    job_id: str = say("for which job")
    provider: str = say("who was asked")
    model: str = say("which of its models")
    tokens_total: int = say("all tokens of the call")
    tokens_overage: int = say("of these, tokens above the allowance")
    cost: float | None = say("USD; null: the price is not known")
    cost_status: Literal["known", "unknown"] = say("how the cost is known")
    timestamp: datetime = say("when it was entered")


class Overage(Listed):
    """A month's calls above allowances."""

    month: str = say("which month, as 2026-11")
    items: list[OverageRow] = say("a page of the calls, newest first")
    by_agent: list[OverageOfAgent] = say("what it comes to, by agent and tier")
