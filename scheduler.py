"""The scheduler: a table of ticks, carried out by the one leader among all that run."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from pymongo.errors import PyMongoError

from core import services as core_services
from core.callbacks import Courier, Post, outbox
from core.config import Settings
from core.ids import new_id
from core.jobs import signals
from core.jobs.reconcile import Reconciler
from core.leader import Leadership
from core.llm.transport import Deadlines, Transport
from core.log import configure as configure_logs
from core.metering import ledger
from core.metering.prices import Prices
from core.retention import Purge
from core.services import Services, connect_redis
from workers.broker import WakefulBroker, make_broker, sender

log = structlog.get_logger("scheduler")


@dataclass(frozen=True)
class Tick:
    """`run` returns what it did, by name; it is called every `every_s` seconds while this process leads."""

    name: str
    every_s: float
    run: Callable[[], dict[str, Any]]


def ticks(services: Services, broker: WakefulBroker) -> list[Tick]:
    """The table."""
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
        Tick("meter", 1, lambda: ledger.enter(services.db, prices, outbox=outbox)),
        Tick("callbacks", 1, courier.tick),
        Tick("purge", 60, Purge(services.db, services.settings).tick),
    ]


def _post(services: Services) -> Post:
    """POSTs to users' addresses through the guard; the receiver has 10 s."""
    transport = Transport(services.settings, Deadlines(connect=5, first_byte=10, between=5, total=10))
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
    leadership = Leadership(services.db, new_id(), lease_s=settings.lease_s)
    scheduler = BackgroundScheduler(
        executors={"default": ThreadPoolExecutor(8)},
        job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None},
        timezone="UTC",
    )
    scheduler.add_job(_guarded("lead", leadership.hold), "interval", seconds=2, id="lead")
    for tick in ticks(services, broker):
        act = _guarded(tick.name, tick.run, may_act=leadership.held)
        scheduler.add_job(act, "interval", seconds=tick.every_s, id=tick.name)

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
