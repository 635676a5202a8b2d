"""Metrics for Prometheus: requests of this process, the queues as the store has them, and what is counted.

Labels are bounded: routes are those of the app's table, never paths, and no workspace, agent or key is one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import redis
import structlog
from flask import Flask, Response, g, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from pymongo.database import Database
from pymongo.errors import PyMongoError

from core import deliveries
from core.jobs import queues
from core.store import aside
from web.access import access
from web.context import Document
from web.counted import Counted

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)
FRESH_S = 5.0

log = structlog.get_logger(__name__)


def register(app: Flask, db: Database[Document], client: redis.Redis) -> None:
    """Count every request, and answer `GET /metrics`."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(Queues(db, client))
    registry.register(Unknown(db))
    registry.register(PutAside(db))
    registry.register(Counted(client))
    labels = ("method", "route", "status")
    requests = Counter("vutler_http_requests", "Requests answered", labels, registry=registry)
    seconds = Histogram(
        "vutler_http_request_seconds",
        "Time to the answer, waiting for a job included",
        labels[:2],
        buckets=BUCKETS,
        registry=registry,
    )

    def count(response: Response) -> Response:
        method = request.method if request.method in METHODS else "other"
        route = request.url_rule.rule if request.url_rule else "none"
        requests.labels(method, route, str(response.status_code)).inc()
        seconds.labels(method, route).observe(time.perf_counter() - g.began)
        return response

    @access(public=True)
    def metrics() -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    app.after_request(count)
    app.add_url_rule("/metrics", "metrics", metrics)


class Queues(Collector):
    """The queues as they are in the store, read again after a few seconds however often one scrapes."""

    def __init__(
        self, db: Database[Document], client: redis.Redis, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.db = db
        self.client = client
        self.now = now
        self._read_at = float("-inf")
        self._rows: list[Document] | None = None

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing: a registry would otherwise read the store when this is registered."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        rows = self._fresh()
        yield GaugeMetricFamily("vutler_store_up", "Does MongoDB answer?", float(rows is not None))
        jobs = GaugeMetricFamily("vutler_queue_jobs", "Jobs not done", labels=("queue", "status"))
        oldest = GaugeMetricFamily(
            "vutler_queue_oldest_seconds", "Age of the oldest waiting", labels=("queue",)
        )
        paused = GaugeMetricFamily("vutler_queue_paused", "Is it paused?", labels=("queue",))
        workers = GaugeMetricFamily("vutler_queue_workers", "Living processes", labels=("queue",))
        for row in rows or []:
            jobs.add_metric((row["name"], "queued"), row["depth"])
            jobs.add_metric((row["name"], "running"), row["running"])
            oldest.add_metric((row["name"],), row["oldest_age_s"] or 0)
            paused.add_metric((row["name"],), float(row["paused"]))
            workers.add_metric((row["name"],), row["workers"])
        yield from (jobs, oldest, paused, workers)

    def _fresh(self) -> list[Document] | None:
        if self.now() - self._read_at >= FRESH_S:
            self._read_at = self.now()
            try:
                self._rows = queues.overview(self.db, self.client)
            except PyMongoError as error:
                log.warning("metrics.store_away", error=type(error).__name__)
                self._rows = None
        return self._rows


class Unknown(Collector):
    """What providers said that nobody knows: unknown reasons to finish, errors and parts of content."""

    def __init__(self, db: Database[Document]) -> None:
        self.db = db

    def describe(self) -> list[CounterMetricFamily]:
        """Nothing: see `Queues`."""
        return []

    def collect(self) -> Iterator[CounterMetricFamily]:
        found = CounterMetricFamily(
            "vutler_provider_unknown",
            "Answers with something that is not understood; the log has the first of each vendor",
            labels=("provider", "what"),
        )
        try:
            for row in self.db.provider_unknown.find():
                found.add_metric((row["provider"], row["what"]), row["count"])
        except PyMongoError as error:
            log.warning("metrics.store_away", error=type(error).__name__)
        yield found


class PutAside(Collector):
    """What the scheduler's loops could not handle, and what could not be delivered."""

    def __init__(self, db: Database[Document]) -> None:
        self.db = db

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing: see `Queues`."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        documents = GaugeMetricFamily(
            "vutler_documents_aside",
            "Documents that a loop could not handle, and tries again",
            labels=("loop",),
        )
        failed = GaugeMetricFamily(
            "vutler_deliveries_failed", "Callbacks and alerts that were given up", labels=("event",)
        )
        try:
            for loop, n in aside.counted(self.db).items():
                documents.add_metric((loop,), n)
            for event, n in deliveries.failed(self.db).items():
                failed.add_metric((event,), n)
        except PyMongoError as error:
            log.warning("metrics.store_away", error=type(error).__name__)
        yield documents
        yield failed
