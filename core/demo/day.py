"""A day of jobs, drawn by a chance that is the same each time: when each came, how long it took, its end."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import uuid_utils

from core.demo.people import COLLEAGUES, FAILURES, WORKSPACE, Colleague
from core.documents import Agent, Key
from core.jobs import model
from core.jobs.document import Job
from core.llm.managed import MANAGED
from core.llm.providers import SANDBOX
from core.llm.records import Call
from core.metering.prices import Prices

Document = dict[str, Any]

BY_HOUR = (2, 1, 1, 1, 1, 2, 4, 7, 11, 14, 15, 14, 12, 14, 15, 14, 12, 10, 8, 7, 6, 5, 4, 3)
"""How busy each hour of the day is, in UTC."""
INCIDENT = (timedelta(hours=5, minutes=20), timedelta(hours=4, minutes=50))
"""How long ago a provider was overloaded: from, until."""
FAILS, FAILS_IN_INCIDENT, IS_CANCELLED = 0.025, 0.4, 0.012
CACHED = 0.3
UNPLANNED: Document = {"targets": [], "agent": {}, "on_worker_loss": "retry", "content_retention": "7"}
OWNER = "demo-worker"


class Day:
    """`agents` and `keys` by name. `chance`: where all that varies comes from."""

    def __init__(
        self, agents: dict[str, Agent], keys: dict[str, Key], prices: Prices, chance: random.Random
    ) -> None:
        self.agents = agents
        self.keys = keys
        self.prices = prices
        self.chance = chance

    def ended(self, now: datetime, n: int, *, hours: float = 24) -> Iterator[Job]:
        """So many jobs that ended within these hours, oldest first."""
        for at in sorted(self._moments(now - timedelta(hours=hours), now, n)):
            yield self._ended(at, now)

    def _moments(self, since: datetime, until: datetime, n: int) -> Iterator[datetime]:
        span = (until - since).total_seconds() - 30
        while n:
            at = since + timedelta(seconds=self.chance.uniform(0, span))
            if self.chance.random() < BY_HOUR[at.hour] / max(BY_HOUR):
                n -= 1
                yield at.replace(microsecond=at.microsecond // 1000 * 1000)

    def _colleague(self) -> Colleague:
        return self.chance.choices(COLLEAGUES, [one.share for one in COLLEAGUES])[0]

    def _born(self, of: Colleague, at: datetime) -> Job:
        agent, asked = self.agents[of.name], self.chance.choice(of.topics)[0]
        draft = model.Draft(
            kind="chat",
            workspace_id=WORKSPACE,
            agent_id=agent["_id"],
            request={"messages": [{"role": "user", "content": asked}], "stream": of.streams},
            plan=UNPLANNED,
            created_by=self.keys[of.key]["_id"],
            request_id=f"demo-{self.chance.getrandbits(48):012x}",
            metadata={"ticket": self.chance.randrange(10_000, 99_999)},
        )
        return model.born(draft, self._id(at), at)

    def _id(self, at: datetime) -> str:
        made = uuid_utils.uuid7(
            nanoseconds=int(at.timestamp() * 1_000_000) * 1000 + self.chance.randrange(1000)
        )
        return str(made)

    def _ended(self, at: datetime, now: datetime) -> Job:
        of = self._colleague()
        job = self._born(of, at)
        started = at + timedelta(milliseconds=int(self.chance.lognormvariate(3.5, 0.8)))
        job |= {"status": "running", "attempt": 1, "owner": OWNER, "fence": OWNER, "started_at": started}
        failing = INCIDENT[1] < now - at < INCIDENT[0] and of.provider == "openai"
        if self.chance.random() < (FAILS_IN_INCIDENT if failing else FAILS):
            return self._failed(job, of, started, busy=failing)
        if self.chance.random() < IS_CANCELLED:
            return self._cancelled(job, of, started)
        return self._succeeded(job, of, started)

    def _succeeded(self, job: Job, of: Colleague, started: datetime) -> Job:
        ms = self._ms(of)
        call = self._call(of, started, ms, "ok", 200, tokens=self._tokens(of))
        asked = job["request"]["messages"][0]["content"]
        price = self.prices.of(call)
        result = {
            "message": {"role": "assistant", "content": dict(of.topics)[asked], "tool_calls": None},
            "finish_reason": "stop",
            "provider": of.provider,
            "model": of.model,
            "usage": call["usage"],
            "cost": None if price.cost is None else float(price.cost),
            "cost_status": price.status,
            "latency_ms": ms,
        }
        return _over(job, "succeeded", started + timedelta(milliseconds=ms + 12), [call], result=result)

    def _failed(self, job: Job, of: Colleague, started: datetime, *, busy: bool) -> Job:
        code, status, words, _ = (
            FAILURES[1] if busy else self.chance.choices(FAILURES, [row[3] for row in FAILURES])[0]
        )
        tries = 3 if code in ("provider_busy", "provider_rate_limited") else 1
        ms = [self._ms(of) // 4 for _ in range(tries)]
        calls = [self._call(of, started, ms[n], code, status, n=n, detail=words) for n in range(tries)]
        error = {"type": "about:blank", "title": "The provider did not answer", "code": code, "detail": words}
        return _over(job, "failed", started + timedelta(milliseconds=sum(ms)), calls, error=error)

    def _cancelled(self, job: Job, of: Colleague, started: datetime) -> Job:
        ms = self._ms(of) // 2
        calls = [self._call(of, started, ms, "cancelled", 200)]
        return _over(job, "cancelled", started + timedelta(milliseconds=ms), calls)

    def _ms(self, of: Colleague) -> int:
        return int(self.chance.lognormvariate(0, 0.45) * of.ms)

    def _tokens(self, of: Colleague) -> tuple[int, int]:
        asked, said = of.tokens
        return int(self.chance.lognormvariate(0, 0.4) * asked), int(self.chance.lognormvariate(0, 0.4) * said)

    def _call(
        self,
        of: Colleague,
        at: datetime,
        ms: int,
        outcome: Any,
        http_status: int | None,
        *,
        n: int = 0,
        tokens: tuple[int, int] | None = None,
        detail: str | None = None,
    ) -> Call:
        call: Any = {
            "attempt": 1,
            "n": n,
            "provider": of.provider,
            "model": of.model,
            "key_kind": MANAGED if of.tier else "sandbox" if of.provider == SANDBOX else "byokey",
            "tier": of.tier,
            "outcome": outcome,
            "possibly_charged": False,
            "http_status": http_status,
            "latency_ms": ms,
            "first_token_ms": int(ms * self.chance.uniform(0.12, 0.3)) if of.streams and tokens else None,
            "provider_request_id": f"req_{self.chance.getrandbits(64):016x}",
            "started_at": at,
            "usage": _usage(tokens, self.chance) if tokens else None,
            "usage_raw": None,
            "usage_status": "reported" if tokens else None,
            "detail": detail,
        }
        found: Call = call
        return found


def _usage(tokens: tuple[int, int], chance: random.Random) -> Document:
    asked, said = tokens
    cached = asked // 2 if chance.random() < CACHED else 0
    return {
        "tokens_input": asked,
        "tokens_output": said,
        "tokens_total": asked + said,
        "tokens_cached": cached,
        "tokens_cache_write": 0,
        "tokens_reasoning": 0,
    }


def _over(job: Job, status: Any, at: datetime, calls: list[Call], **more: Any) -> Job:
    """A job that has ended, and is entered."""
    end = model.ending(job, status=status, now=at, calls=calls, fence=OWNER, **more)
    known_as = [*job["known_as"], *end["$addToSet"]["known_as"]["$each"]]
    over: Any = {**job, **end["$set"], "known_as": known_as}
    del over["meter"]
    found: Job = over
    return found
