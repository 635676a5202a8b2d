"""The life of a worker process: it makes clients, takes a lease, consumes; and ends in good order."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import cast

import dramatiq
import structlog
from pymongo.errors import PyMongoError

import core
from core import memory, open_files
from core import services as core_services
from core.config import Settings
from core.jobs import kinds, lease
from core.jobs.places import Places
from core.jobs.queues import paused
from core.jobs.run import Handler, Runner, Start
from core.log import configure as configure_logs
from core.outbound.names import AT_ONCE
from core.services import Run, Services, connect_redis
from core.store import migrations
from core.store.migrations import NewerStore
from core.store.repeat import once_it_answers
from workers import listening
from workers.broker import ACTOR, LaneBroker, make_broker, sender
from workers.heartbeat import CRASHED, Heartbeat
from workers.roles import Role
from workers.seating import Seating
from workers.threads import ThreadWork

LOST_GRACE_S = 2.0
LOOK_S = 0.05
ENDING_S = 10.0
IDLE_MS = 60_000
DISK_THREADS = 8
NAME_THREADS = 3 * AT_ONCE
"""gevent resolves in threads, addresses too. There must be one left when all names that users and vendors may
resolve at the same time are slow."""

log = structlog.get_logger(__name__)


class Stopping:
    """What a signal or the heartbeat's thread says. Flags alone, since neither of them may wait for a lock.

    `told`: take nothing more. `over`: all work has ended, so nobody needs to listen for cancellations.
    """

    def __init__(self) -> None:
        self.told = False
        self.over = False

    def tell(self, *_: object) -> None:
        self.told = True

    def wait(self) -> None:
        """Until told."""
        while not self.told:
            time.sleep(LOOK_S)


def serve(role: Role) -> int:
    """Work until told to stop. Returns the exit code. A database of a later version ends the process."""
    memory.frugal()
    settings = Settings()
    configure_logs(settings, process=role.name)
    broker = make_broker(connect_redis(settings), slots=role.slots)
    services = core_services.build(
        settings, send=sender(broker), patience_s=2, redis_client=connect_redis(settings)
    )
    try:
        migrations.wait_until_prepared(services.db)
    except NewerStore as error:
        sys.exit(f"vutler: {error}")
    if role.green:
        services.run = _away_from_the_loop()
        _more_threads_for_names()
        open_files.as_many_as_needed()
    carried_out_by = handlers(services, role)
    queues = kinds.queues_of(role.name, settings.host_of(role.name))
    process_id = _register(services, role, queues)
    stopping = Stopping()
    for number in (signal.SIGTERM, signal.SIGINT):  # before it takes what it would have to give back
        signal.signal(number, stopping.tell)
    heartbeat = Heartbeat(
        settings,
        process_id,
        on_lost=stopping.tell,
        done=lambda: (runner.finished_last_minute(), runner.last_jobs()),
    )
    runner = Runner(
        services,
        process_id,
        carried_out_by,
        start=_start(role),
        lost=lambda: heartbeat.lost,
        queues=queues,
        begun=broker.shares.begun,
        bounds=broker.bounds,
        places=Places(process_id, lambda: heartbeat.fresh) if role.green else None,
    )
    heartbeat.start()  # before what may take longer than a lease on a busy machine
    seating = Seating(settings, runner, broker, queues[0])
    running = seating.missed if role.seats else None
    _read_flags(broker, services)
    listening.start(settings, runner, broker, over=lambda: stopping.over, running=running)
    _consume(broker, queues, role.slots, runner)
    if role.seats:
        seating.start()
    memory.settled()
    log.info("worker.ready", role=role.name, process_id=process_id, slots=role.slots)

    stopping.wait()
    log.info("worker.stopping", running=len(runner.running))
    runner.drain()
    seating.close()
    grace = LOST_GRACE_S if heartbeat.lost else settings.worker_grace_s
    _stop(broker, runner, grace)
    stopping.over = True
    heartbeat.stop()
    _retire(services, process_id)
    services.close()
    return CRASHED if heartbeat.lost else 0


def handlers(services: Services, role: Role) -> Mapping[str, Handler]:
    """The handlers of this role's kinds. A kind without one ends the process: all its jobs would fail."""
    wanted = kinds.of_role(role.name)
    found: dict[str, Handler] = {}
    for home in sorted({kind.home for kind in wanted}):
        found |= import_module(home).handlers(services)
    missing = [f"{kind.name} (by {kind.home})" for kind in wanted if kind.name not in found]
    if missing:
        sys.exit(f"vutler: the role {role.name} cannot carry out {', '.join(missing)}")
    return found


def _start(role: Role) -> Start:
    if not role.green:
        return ThreadWork
    from workers.greenlets import GreenletWork  # imports gevent: only where the process is patched

    return GreenletWork


def _away_from_the_loop() -> Run:
    """A disk is waited for in threads: in the event loop all jobs of the process would wait."""
    from gevent.threadpool import ThreadPool

    return cast(Run, ThreadPool(DISK_THREADS).apply)


def _more_threads_for_names() -> None:
    from gevent import get_hub

    get_hub().threadpool.maxsize = NAME_THREADS


def _register(services: Services, role: Role, queues: list[str]) -> str:
    """Take the lease; the id of this process."""
    return once_it_answers(
        lambda: lease.register(
            services.db,
            role=role.name,
            host=services.settings.worker_host,
            queues=queues,
            slots=role.slots,
            version=core.VERSION,
            in_line=role.green,
        )
    )


def _retire(services: Services, process_id: str) -> None:
    try:
        lease.retire(services.db, process_id)
    except PyMongoError as error:  # what this process still owns is taken up a lease later
        log.warning("worker.not_retired", error=type(error).__name__)


def _read_flags(broker: LaneBroker, services: Services) -> None:
    """What is paused, and who may have how many, before anything is taken. `listening` hears of changes."""
    broker.paused = once_it_answers(lambda: frozenset(paused(services.db)))
    once_it_answers(lambda: broker.read_bounds(services.db))


def _consume(broker: LaneBroker, queues: list[str], slots: int, runner: Runner) -> None:
    """Declare the one actor and start to take messages, no more of them than there are slots.

    A slot without work looks whether it shall end, each `IDLE_MS`: a second, as is Dramatiq's way, would keep
    2,560 of them busy. So nobody waits for them at the end.
    """
    dramatiq.actor(broker=broker, actor_name=ACTOR, queue_name=queues[0])(runner.run)
    for queue in queues:
        broker.declare_queue(queue)
    dramatiq.Worker(broker, queues=set(queues), worker_threads=slots, worker_timeout=IDLE_MS).start()


def _stop(broker: LaneBroker, runner: Runner, grace_s: float) -> None:
    """Take nothing more, give what was taken its grace, hand the rest back."""
    runner.drain()
    broker.paused = frozenset(broker.queues)
    if not _until_idle(broker, grace_s, lambda: None):
        _until_idle(broker, ENDING_S, runner.hand_back_all)  # again and again: a claim may be under way


def _until_idle(broker: LaneBroker, within_s: float, meanwhile: Callable[[], None]) -> bool:
    deadline = time.monotonic() + within_s
    while not broker.shares.idle and time.monotonic() < deadline:
        meanwhile()
        time.sleep(LOOK_S)
    return broker.shares.idle
