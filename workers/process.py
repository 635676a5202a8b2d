"""The life of a worker process: clients, lease, consumers; then a good end."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import cast

import dramatiq
import gevent
import redis
import structlog
from gevent.event import Event
from pymongo.errors import PyMongoError

import core
from core import services as core_services
from core.chat import chat
from core.config import Settings
from core.jobs import lease, signals
from core.jobs.model import RUNNING
from core.jobs.queues import paused
from core.jobs.run import Runner
from core.llm.breaker import Breaker
from core.log import configure as configure_logs
from core.metering.prices import Prices
from core.metering.quotes import Quotes
from core.outbound.transport import Transport
from core.services import Services, connect_redis
from workers.broker import ACTOR, WakefulBroker, make_broker, sender
from workers.greenlets import GreenletWork
from workers.heartbeat import CRASHED, Heartbeat
from workers.roles import Role

STORE_PATIENCE_S = 60.0
LOST_GRACE_S = 2.0
BREAKER_REDIS_S = 0.1

log = structlog.get_logger(__name__)


def serve(role: Role) -> int:
    """Work until told to stop; the exit code."""
    settings = Settings()
    configure_logs(settings, process=role.name)
    broker = make_broker(connect_redis(settings))
    services = core_services.build(
        settings, send=sender(broker), patience_s=2, redis_client=connect_redis(settings)
    )
    process_id = _register(services, role)
    transport = Transport(settings)
    breaker_redis = connect_redis(settings, timeout_s=BREAKER_REDIS_S)
    services.cleanups += [transport.close, breaker_redis.close]
    handlers = chat.handlers(transport, Quotes(services.db, Prices()), Breaker(breaker_redis))
    stopping = Event()
    heartbeat = Heartbeat(
        settings,
        process_id,
        on_lost=_from_a_thread(stopping),
        finished_last_minute=lambda: runner.finished_last_minute(),
    )
    runner = Runner(services, process_id, handlers, start=GreenletWork, lost=lambda: heartbeat.lost)
    worker = _consume(broker, role, runner)
    heartbeat.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stopping.set)
    listeners: list[gevent.Greenlet[..., object]] = [
        gevent.spawn(_hear_signals, settings, runner, worker),
        gevent.spawn(_look_for_flags, runner, worker),
    ]
    log.info("worker.ready", role=role.name, process_id=process_id, slots=role.slots)

    stopping.wait()
    log.info("worker.stopping", running=len(runner.running))
    grace = LOST_GRACE_S if heartbeat.lost else settings.worker_grace_s
    _stop(worker, runner, grace)
    gevent.killall(listeners)
    heartbeat.stop()
    _retire(services, process_id)
    services.close()
    return CRASHED if heartbeat.lost else 0


def _register(services: Services, role: Role) -> str:
    """Enter the lease, waiting for a store that is still starting."""
    deadline = time.monotonic() + STORE_PATIENCE_S
    while True:
        try:
            return lease.register(
                services.db,
                role=role.name,
                queues=list(role.queues),
                slots=role.slots,
                version=core.VERSION,
            )
        except PyMongoError as error:
            if time.monotonic() > deadline:
                raise
            log.warning("worker.waits_for_store", error=type(error).__name__)
            gevent.sleep(1)


def _retire(services: Services, process_id: str) -> None:
    try:
        lease.retire(services.db, process_id)
    except PyMongoError as error:  # what it still owns is taken up a lease later
        log.warning("worker.not_retired", error=type(error).__name__)


def _consume(broker: WakefulBroker, role: Role, runner: Runner) -> dramatiq.Worker:
    """Declare the one actor and start taking messages. Prefetches no more than there are slots."""
    dramatiq.actor(broker=broker, actor_name=ACTOR, queue_name=role.queues[0])(runner.run)
    for queue in role.queues:
        broker.declare_queue(queue)
    worker = dramatiq.Worker(broker, queues=set(role.queues), worker_threads=role.slots)
    worker.queue_prefetch = role.slots
    worker.start()
    return worker


def _stop(worker: dramatiq.Worker, runner: Runner, grace_s: float) -> None:
    """Take nothing more, give what runs its grace, hand the rest back."""
    runner.drain()
    _pause(worker, set(worker.consumers))
    deadline = time.monotonic() + grace_s
    while runner.running and time.monotonic() < deadline:
        gevent.sleep(0.05)
    runner.hand_back_all()
    worker.stop(timeout=10_000)


def _from_a_thread(stopping: Event) -> Callable[[], None]:
    """Sets a greenlet's event from another OS thread."""
    loop = gevent.get_hub().loop

    def lost() -> None:
        loop.run_callback_threadsafe(stopping.set)

    return lost


def _hear_signals(settings: Settings, runner: Runner, worker: dramatiq.Worker) -> None:
    channel = signals.process_channel(runner.process_id)
    client = connect_redis(settings)
    while True:
        try:
            with client.pubsub(ignore_subscribe_messages=True) as pubsub:
                pubsub.subscribe(channel, signals.QUEUES_CHANGED)
                while True:
                    message = pubsub.get_message(timeout=2.0)
                    if message is None:
                        continue
                    if message["channel"].decode() == channel:
                        runner.stop(message["data"].decode(), "cancelled")
                    else:
                        _pause_and_resume(runner, worker)
        except redis.RedisError as error:
            log.warning("signals.redis_away", error=type(error).__name__)
            gevent.sleep(1)
        except PyMongoError as error:
            log.warning("signals.store_away", error=type(error).__name__)


def _look_for_flags(runner: Runner, worker: dramatiq.Worker) -> None:
    """The slow road for cancellations and pauses whose message was lost."""
    services = runner.services
    wanted = {"status": RUNNING, "owner": runner.process_id, "cancel_requested": True}
    while True:
        gevent.sleep(services.settings.beat_s)
        try:
            for job in services.db.jobs.find(wanted, {"_id": 1}):
                runner.stop(job["_id"], "cancelled")
            _pause_and_resume(runner, worker)
        except PyMongoError as error:
            log.warning("flags.store_away", error=type(error).__name__)


def _pause_and_resume(runner: Runner, worker: dramatiq.Worker) -> None:
    """Consumers of a paused queue take no messages: they stay in Redis, the jobs stay queued."""
    stopped = paused(runner.services.db)
    if not runner.draining:
        _pause(worker, stopped)


def _pause(worker: dramatiq.Worker, queues: set[str]) -> None:
    """Pause the consumers of these queues, and let those of all others go on."""
    cast(WakefulBroker, worker.broker).paused = frozenset(queues)
    for name, consumer in worker.consumers.items():
        if (name in queues) != consumer.paused:
            (consumer.pause if name in queues else consumer.resume)()
