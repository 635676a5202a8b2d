"""The scheduler: a table of ticks, carried out by the one leader among all that run."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from pymongo.database import Database
from pymongo.errors import PyMongoError

from core import services as core_services
from core.callbacks import Courier, Post, outbox
from core.clock import utcnow
from core.config import Settings
from core.ids import new_id
from core.jobs import signals
from core.jobs.reconcile import Reconciler
from core.llm import tiers
from core.log import configure as configure_logs
from core.metering import allowances, budgets, ledger, rollups, statements, true_up
from core.metering.prices import Prices
from core.outbound.guard import Guard
from core.outbound.transport import Deadlines, Transport
from core.retention import Purge
from core.scheduling import ticks as core_ticks
from core.scheduling.leader import Leadership
from core.scheduling.slots import Effect, Slots
from core.scheduling.ticks import Notes
from core.services import Services, connect_redis
from core.store import migrations
from core.store.migrations import NewerStore
from workers.broker import WakefulBroker, make_broker, sender

LOOK_S = 10.0

log = structlog.get_logger("scheduler")


@dataclass(frozen=True)
class Tick:
    """`run` returns what it did, by name; it is called every `every_s` seconds while this process leads.

    None: nothing was due. A tick with slots looks each `look_s` if one is due; `at_once` runs it between.
    """

    name: str
    every_s: float
    run: Callable[[], dict[str, Any] | None]
    look_s: float | None = None
    at_once: Callable[[], dict[str, Any]] | None = None


def ticks(services: Services, broker: WakefulBroker, me: str) -> list[Tick]:
    """The table. Those with slots catch up with what was missed while all were down."""
    db = services.db
    reconciler = Reconciler(
        services.db,
        services.send,
        queue_length=broker.queue_length,
        ended=lambda job_id: signals.publish(services.redis, signals.CHANGED, job_id),
        lease_s=services.settings.lease_s,
    )
    prices = Prices()
    courier = Courier(services.db, services.sealer, _post(services))
    services.cleanups.append(courier.close)
    return [
        Tick("reconcile", 2, reconciler.tick),
        Tick("meter", 1, lambda: ledger.enter(db, prices, outbox=outbox)),
        Tick("allowances", 10, lambda: allowances.tick(db, tiers.table().monthly_tokens())),
        Tick("callbacks", 1, courier.tick),
        _slotted(db, me, "rollups", 60, lambda _: rollups.tick(db)),
        _slotted(db, me, "budgets", 60, lambda _: budgets.tick(db)),
        _slotted(db, me, "true_up", 3600, lambda _: true_up.tick(db)),
        _slotted(db, me, "statements", 3600, lambda _: statements.tick(db, tiers.table().prices_usd())),
        _slotted(db, me, "purge", 60, lambda _: Purge(db, services.redis, services.settings).tick()),
    ]


def _slotted(db: Database[dict[str, Any]], me: str, name: str, every_s: float, effect: Effect) -> Tick:
    """A tick of a minute or longer: each of its times happens once, whoever leads."""
    slots = Slots(db, name, timedelta(seconds=every_s), effect, me=me)
    return Tick(name, every_s, slots.run, LOOK_S, lambda: effect(utcnow()))


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
    me = new_id()
    leadership = Leadership(services.db, me, lease_s=settings.lease_s)
    notes = Notes(services.db)
    scheduler = BackgroundScheduler(
        executors={"default": ThreadPoolExecutor(8)},
        job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None},
        timezone="UTC",
    )
    scheduler.add_job(_guarded("lead", leadership.hold), "interval", seconds=2, id="lead")
    table = {tick.name: tick for tick in ticks(services, broker, me)}
    for tick in table.values():
        act = _guarded(tick.name, partial(_noted, tick, notes), may_act=leadership.held)
        scheduler.add_job(act, "interval", seconds=tick.look_s or tick.every_s, id=tick.name)

    def run_what_was_asked_for() -> None:
        for name in core_ticks.asked(services.db):
            at_once = table[name].at_once if name in table else None
            if at_once is not None:
                _guarded(name, partial(_noted, replace(table[name], run=at_once), notes))()
            elif name in table:
                scheduler.modify_job(name, next_run_time=utcnow())

    ask = _guarded("asked", run_what_was_asked_for, may_act=leadership.held)
    scheduler.add_job(ask, "interval", seconds=2, id="asked")

    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    scheduler.start()
    log.info("scheduler.ready", ticks=[job.id for job in scheduler.get_jobs()])
    stopping.wait()
    scheduler.shutdown(wait=True)
    _guarded("release", leadership.release)()
    services.close()
    return 0


def _noted(tick: Tick, notes: Notes) -> dict[str, Any] | None:
    """Run a tick and write down how it went."""
    started, done, error = time.monotonic(), None, None
    try:
        done = tick.run()
    except Exception as problem:
        error = type(problem).__name__
        raise
    finally:
        if done is not None or error is not None:
            ms = int((time.monotonic() - started) * 1000)
            notes.note(tick.name, tick.every_s, ms=ms, result=done or {}, error=error)
    return done


def _guarded(
    name: str, act: Callable[[], Any], *, may_act: Callable[[], bool] = lambda: True
) -> Callable[[], None]:
    """A tick that is logged when it did something, and when it failed; the next one comes anyway."""

    def run() -> None:
        if not may_act():
            return
        started = time.monotonic()
        try:
            done = act()
        except PyMongoError as error:
            log.warning("tick.store_away", tick=name, error=type(error).__name__)
        except Exception:
            log.exception("tick.failed", tick=name)
        else:
            if isinstance(done, dict) and any(done.values()):
                log.info("tick.done", tick=name, ms=int((time.monotonic() - started) * 1000), **done)

    return run


if __name__ == "__main__":
    sys.exit(main())
