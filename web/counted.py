"""What was counted of jobs and of calls of providers, and the open breakers, as Redis has them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

import redis
import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from core.history.counters import BUCKETS, COUNTERS, HISTOGRAMS, Series, read
from core.llm import breaker
from core.llm.providers import PROVIDERS

log = structlog.get_logger(__name__)


class Counted(Collector):
    """See `core.history.counters`. Without Redis `vutler_redis_up` is 0, and nothing else is said."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client

    def describe(self) -> list[Metric]:
        """Nothing: see `web.metrics.Queues`."""
        return []

    def collect(self) -> Iterator[Metric]:
        try:
            found, opened = read(self.client), breaker.open_now(self.client)
        except redis.RedisError as error:
            log.warning("metrics.redis_away", error=type(error).__name__)
            yield GaugeMetricFamily("vutler_redis_up", "Does Redis answer?", 0.0)
            return
        yield GaugeMetricFamily("vutler_redis_up", "Does Redis answer?", 1.0)
        yield from (_counter(name, found) for name in COUNTERS)
        yield from (_histogram(name, found) for name in HISTOGRAMS)
        states = GaugeMetricFamily(
            "vutler_breakers_open", "Addresses whose circuit breaker is open", labels=("provider",)
        )
        for provider in PROVIDERS:
            states.add_metric((provider,), opened[provider])
        yield states


def _counter(name: str, found: dict[Series, float]) -> Metric:
    says, labels = COUNTERS[name]
    family = CounterMetricFamily(f"vutler_{name}", says, labels=labels)
    for series, value in sorted(found.items()):
        if series[0] == name:
            family.add_metric(series[1:], value)
    return family


def _histogram(name: str, found: dict[Series, float]) -> Metric:
    says, labels = HISTOGRAMS[name]
    family = HistogramMetricFamily(f"vutler_{name}", says, labels=labels)
    ends = [*(str(float(end)) for end in BUCKETS), "+Inf"]
    for labelled in sorted({series[1:-1] for series in found if series[0] == name}):
        counts = accumulate(found.get((name, *labelled, str(n)), 0.0) for n in range(len(ends)))
        buckets = list(zip(ends, counts, strict=True))
        family.add_metric(labelled, buckets, found.get((name, *labelled, "sum"), 0.0))
    return family
