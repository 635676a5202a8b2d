"""Counters for Prometheus: how jobs ended, and what their calls of providers used, cost and took. In Redis.

Counted when the ledger is entered, a few commands for hundreds of jobs. Redis may lose them, which Prometheus
takes for a restart; what a crash lets be entered twice is counted twice: the books are in the ledger.
Labels are bounded: a model is one of the public price tables or `other`, all custom endpoints are `custom`.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import redis
import structlog

from core.jobs.document import Job
from core.llm.records import Call
from core.metering.calls import calls_of
from core.metering.row import LedgerRow

KEY = "vutler:counters"
COUNTERS = {
    "jobs_ended": ("Jobs that ended, by the code of their error", ("kind", "status", "code")),
    "provider_calls": ("Calls of providers, by how they ended", ("provider", "outcome")),
    "provider_fallbacks": ("Calls of another provider or model after one that failed", ("provider", "to")),
    "provider_tokens": ("Tokens; cached, written and reasoning ones again", ("provider", "model", "token")),
    "provider_cost_usd": ("What calls cost, as far as their price is known", ("provider", "model")),
}
"""By name: what it says, and its labels."""
HISTOGRAMS = {
    "provider_latency_seconds": ("Time of a call that answered", ("provider",)),
    "provider_first_token_seconds": ("Time to the first token of a streamed answer", ("provider",)),
}
BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300)
"""Seconds."""
MEASURED = {"provider_latency_seconds": "latency_ms", "provider_first_token_seconds": "first_token_ms"}
TOKENS = ("input", "output", "cached", "cache_write", "reasoning")
PUBLIC = ("genai-prices", "prices.json")
OTHER, CUSTOM = "other", "custom"

Series = tuple[str, ...]
"""A name and the values of its labels; of a histogram also `sum`, or the bucket's number."""

log = structlog.get_logger(__name__)


def count(client: redis.Redis, jobs: Iterable[Job], rows: Iterable[LedgerRow]) -> None:
    """Count jobs that ended, their calls, and the ledger's rows of them."""
    found: defaultdict[Series, float] = defaultdict(float)
    for job in jobs:
        found["jobs_ended", job["kind"], job["status"], (job.get("error") or {}).get("code") or ""] += 1
        for series, more in _of_calls([call for _, call, _ in calls_of(job)]):
            found[series] += more
    for row in rows:
        for series, more in _of_row(row):
            found[series] += more
    try:
        with client.pipeline(transaction=False) as pipe:
            for series, more in found.items():
                pipe.hincrbyfloat(KEY, json.dumps(series), more)
            pipe.execute()
    except redis.RedisError as error:
        log.warning("counters.not_kept", error=type(error).__name__)


def read(client: redis.Redis) -> dict[Series, float]:
    """All that was counted. Raises `redis.RedisError`."""
    kept: Any = client.hgetall(KEY)
    return {tuple(json.loads(series)): float(value) for series, value in kept.items()}


def _of_calls(calls: Sequence[Call]) -> Iterator[tuple[Series, float]]:
    for call in calls:
        provider = _provider(call)
        yield ("provider_calls", provider, call["outcome"]), 1
        for name, field in MEASURED.items():
            took: Any = call.get(field)
            if took is not None and call["outcome"] == "ok":
                yield (name, provider, str(bisect_left(BUCKETS, took / 1000))), 1
                yield (name, provider, "sum"), took / 1000
    for one, other in pairwise(calls):
        asked_again = (one["provider"], one["model"]) == (other["provider"], other["model"])
        if one.get("attempt") == other.get("attempt") and not asked_again:
            yield ("provider_fallbacks", _provider(one), _provider(other)), 1


def _of_row(row: LedgerRow) -> Iterator[tuple[Series, float]]:
    priced = row["price"]
    model = str(priced["model"]) if priced["source"] in PUBLIC else OTHER
    fields: Any = row
    for name in TOKENS:
        if fields[f"tokens_{name}"]:
            yield ("provider_tokens", _provider(row), model, name), fields[f"tokens_{name}"]
    if row["cost"] is not None:
        yield ("provider_cost_usd", _provider(row), model), float(row["cost"].to_decimal())


def _provider(of: Call | LedgerRow) -> str:
    return CUSTOM if of["key_kind"] == "custom" else of["provider"]
