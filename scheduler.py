"""The scheduler: a table of ticks, carried out by the one leader among all that run."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import redis
import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from pymongo.database import Database

from core import services as core_services
from core.callbacks import Courier, Post, outbox
from core.clock import utcnow
from core.config import Settings
from core.drive import mend, verify
from core.history import batches, counters
from core.history import rollups as history
from core.ids import new_id
from core.jobs import signals
from core.jobs.document import Job
from core.jobs.reconcile import Reconciler
from core.llm import tiers
from core.log import configure as configure_logs
from core.metering import allowances, budgets, ledger, recent, rollups, statements, true_up
from core.metering.entered import Entered
from core.metering.prices import Prices
from core.metering.row import LedgerRow
from core.outbound.guard import Guard
from core.outbound.transport import Deadlines, Transport
from core.retention import Purge
from core.runtime.poll import Poll
from core.scheduling.leader import Leadership
from core.scheduling.runs import Runs, Tick, guarded, slotted
from core.services import Services, connect_redis
from core.store import migrations, overwriting
from core.store.migrations import NewerStore
from workers.broker import make_broker, sender

LEADING, LOOKING = "leading", "looking"
"""The threads for what must never wait for a tick: the leadership, and looking after the ticks."""
EVERY_S = 2
WEEK_S = 7 * 24 * 3600

log = structlog.get_logger("scheduler")


def ticks(services: Services) -> list[Tick]:
    """The table. Those with slots catch up with what was missed while all were down."""
    db = services.db
    reconciler = Reconciler(
        services.db,
        services.send,
        ended=lambda job_id: signals.publish(services.redis, signals.CHANGED, job_id),
        lease_s=services.settings.lease_s,
    )
    prices, entered, noted = Prices(), Entered(), _noted(services.redis)
    runtimes = Poll(db, patience_s=2 * services.settings.lease_s)
    courier = Courier(services.db, services.sealer, _post(services))
    services.cleanups.append(courier.close)
    return [
        Tick("reconcile", 2, reconciler.tick),
        Tick("meter", 1, lambda: ledger.enter(db, prices, outbox=outbox, note=noted, entered=entered)),
        Tick("allowances", 10, lambda: allowances.tick(db, tiers.table().monthly_tokens())),
        Tick("callbacks", 1, courier.tick),
        Tick("runtimes", services.settings.runtime_poll_seconds, runtimes.tick),
        slotted(db, "history", 60, lambda slot: history.tick(db, services.redis, slot)),
        slotted(db, "history_hours", 3600, lambda slot: history.hours(db, slot)),
        slotted(db, "rollups", 60, lambda _: rollups.tick(db)),
        slotted(db, "recent", 60, lambda _: recent.tick(db)),
        slotted(db, "budgets", 60, lambda _: budgets.tick(db)),
        slotted(db, "true_up", 3600, lambda _: true_up.tick(db)),
        slotted(db, "statements", 3600, lambda _: statements.tick(db, tiers.table().prices_usd())),
        Tick("drive", 10, lambda: mend.tick(db, services.send, staging_s=services.settings.drive_staging_s)),
        slotted(db, "drive_verify", WEEK_S, lambda _: verify.tick(db, services.send)),
        Tick("erased", 20, lambda: overwriting.tick(db, services.redis, **_embedded(services.settings))),
        slotted(db, "purge", 60, lambda _: Purge(db, services.redis, services.settings).tick()),
    ]


def _embedded(settings: Settings) -> dict[str, bool]:
    """Which of the stores `make run` has started."""
    return {"redis_embedded": settings.redis_url is None, "embedded": settings.embedded_store}


def _noted(client: redis.Redis) -> ledger.Note:
    """What else is made of jobs that the ledger has in its hands: their history, and the counters."""

    def note(db: Database[dict[str, Any]], jobs: Iterable[Job], rows: Iterable[LedgerRow]) -> None:
        batches.note(db, jobs, rows)
        counters.count(client, jobs, rows)

    return note


def _post(services: Services) -> Post:
    """POSTs to users' addresses through the guard; the receiver has 10 s."""
    settings = services.settings
    transport = Transport(
        Guard(settings.custom_endpoint_allow),
        whole=Deadlines(connect=5, first_byte=10, between=5, total=10),
        most_bytes=0,  # what a receiver says is not read
        ca_bundle=settings.provider_ca_bundle,
    )
    services.cleanups.append(transport.close)

    def post(url: str, headers: Mapping[str, str], body: bytes) -> int:
        with transport.post(url, headers, body, guarded=True) as answer:
            return answer.status

    return post


def main() -> int:
    settings = Settings()
    configure_logs(settings, process="scheduler")
    broker = make_broker(connect_redis(settings))
    services = core_services.build(
        settings, send=sender(broker), patience_s=2, redis_client=connect_redis(settings)
    )
    try:
        migrations.wait_until_prepared(services.db)
    except NewerStore as error:
        sys.exit(f"vutler: {error}")
    return serve(services, ticks(services))


def serve(services: Services, table: Sequence[Tick]) -> int:
    """Lead, or wait to, and carry the ticks out until told to stop; the exit code."""
    settings = services.settings
    leadership = Leadership(services.db, new_id(), lease_s=settings.lease_s)
    runs = Runs(services.db, table, may_act=leadership.held)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    scheduler = _scheduled(leadership, runs)
    scheduler.start()
    log.info("scheduler.ready", ticks=list(runs.table))
    keep_time(scheduler, stopping)
    scheduler.shutdown(wait=False)
    over = runs.ended_within(settings.worker_grace_s)
    guarded("release", leadership.release)
    services.close()
    if not over:
        log.error("scheduler.left_running", ticks=list(runs.since))
        sys.stdout.flush()
        os._exit(0)  # the interpreter would wait for the threads of what hangs
    return 0


def keep_time(
    scheduler: BackgroundScheduler,
    stopping: threading.Event,
    *,
    every_s: float = EVERY_S,
    now: Callable[[], datetime] = utcnow,
) -> None:
    """Wait until told to stop. When the clock is set back, all that waits for a time to come is due now."""
    before = now()
    while not stopping.wait(every_s):
        at = now()
        if at < before:
            log.warning("scheduler.clock_set_back", seconds=(before - at).total_seconds())
            for job in scheduler.get_jobs():
                job.modify(next_run_time=utcnow())
        before = at


def _scheduled(leadership: Leadership, runs: Runs) -> BackgroundScheduler:
    """A thread for each tick, so that one which hangs delays no other, nor the leadership."""
    scheduler = BackgroundScheduler(
        executors={
            "default": ThreadPoolExecutor(len(runs.table)),
            LEADING: ThreadPoolExecutor(1),
            LOOKING: ThreadPoolExecutor(1),
        },
        job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None},
        timezone="UTC",
    )

    def look() -> None:
        for name in runs.look():
            scheduler.modify_job(name, next_run_time=utcnow())

    scheduler.add_job(
        partial(guarded, "lead", leadership.hold),
        "interval",
        seconds=EVERY_S,
        executor=LEADING,
        next_run_time=utcnow(),
    )
    scheduler.add_job(partial(guarded, "look", look), "interval", seconds=EVERY_S, executor=LOOKING)
    # Not all at the same moment: the store would serve nobody else while they are at it together.
    began, share = utcnow(), 1 / len(runs.table)
    for n, tick in enumerate(runs.table.values()):
        every = timedelta(seconds=tick.look_s or tick.every_s)
        scheduler.add_job(
            runs.run,
            "interval",
            args=[tick.name],
            seconds=every.total_seconds(),
            id=tick.name,
            name=tick.name,  # by which its warnings call it
            next_run_time=began + every * (1 + n * share),
        )
    return scheduler


if __name__ == "__main__":
    sys.exit(main())
